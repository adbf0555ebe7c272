/** The door of the viewer. */
export type { EnumValue, FieldStruct, FieldValue } from '../ctf/decode/values.ts';
export type { DataStream } from './data-streams.ts';
export { type DecodedEvent, decode, type EventBatch, type PacketInput, TraceDecoder } from './decode.ts';
export type { JsonEvent, JsonField, JsonStruct } from './json/json-event.ts';
export { JsonFormat } from './json/json-format.ts';
export { LiveView, type LiveViewOptions, liveViewSink } from './live/live-view.ts';
export { PerfettoFormat } from './perfetto/perfetto-format.ts';
export { type SliceRule, sliceRules } from './perfetto/rules.ts';
export * from './print.ts';
export * from './selection.ts';
export { type EventStats, StatsCounter, type StreamStats, type ViewStats } from './stats.ts';
