/** The inner door: what it takes to print the events of finished traces as text, and no more, so that it loads at once. */
export type { EventTime, LineFormat } from './line-format.ts';
export type { Loss } from './losses.ts';
export type { ClockOffset, Moment } from './moment.ts';
export { NoFormat } from './no-format.ts';
export { type Edges, newEdges, type Part, type PartBytes } from './parts.ts';
export type { TimeRange } from './range.ts';
export { lossText } from './text/loss-text.ts';
export type { TextStyle } from './text/style.ts';
export { TextBuffer } from './text/text-buffer.ts';
export { TextFormat } from './text/text-format.ts';
export { TimeText } from './text/time-text.ts';
export { TimeSlot } from './time-slot.ts';
export { openView, view } from './view.ts';
export type { ViewOptions } from './view-options.ts';
