/** The door of the viewer. */
export type { DataStream } from './data-streams.ts';
export { type Condition, conditionOf } from './filter.ts';
export { globOf } from './glob.ts';
export type { JsonEvent, JsonField, JsonStruct } from './json/json-event.ts';
export { JsonFormat } from './json/json-format.ts';
export type { LineFormat } from './line-format.ts';
export { LiveView, type LiveViewOptions, liveViewSink } from './live/live-view.ts';
export type { Loss } from './messages.ts';
export type { ClockOffset, Moment } from './moment.ts';
export { NoFormat } from './no-format.ts';
export type { TimeRange } from './range.ts';
export { type EventStats, StatsCounter, type StreamStats, type ViewStats } from './stats.ts';
export { lossText } from './text/loss-text.ts';
export type { TextStyle } from './text/style.ts';
export { TextFormat } from './text/text-format.ts';
export { TimeText } from './text/time-text.ts';
export { type ViewOptions, view } from './view.ts';
