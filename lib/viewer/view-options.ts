import type { ScopeValues } from '../ctf/decode/values-emitter.ts';
import type { EventClass } from '../ctf/trace-class.ts';
import type { DataStream } from './data-streams.ts';
import type { LineFormat } from './line-format.ts';
import type { Loss } from './losses.ts';
import type { ClockOffset, Moment } from './moment.ts';
import type { TimeRange } from './range.ts';
import type { Trace } from './trace.ts';

export interface ViewOptions {
  /** Directories that hold traces, at any depth. */
  inputs: readonly string[];
  format: LineFormat;
  /** Which events lines are written for; all where absent. */
  wants?: (event: EventClass) => boolean;
  /** Which streams are read; all where absent. */
  wantsStream?: (stream: DataStream) => boolean;
  /** What the fields of an event must be like for it to be shown. */
  where?: (scopes: ScopeValues, trace: Trace) => boolean;
  /** Is told of the streams before anything else, and of every event that is shown. */
  opened?: (streams: readonly DataStream[]) => void;
  counted?: (time: Moment, event: EventClass, stream: DataStream) => void;
  /** What is left out for its time: told when the time of the first message is known. */
  range?: (first: Moment | undefined) => TimeRange;
  /** Of each trace, only the time in which all its streams have packets. */
  intersection?: boolean;
  clockOffset?: ClockOffset;
  /** All clocks count as absolute. */
  forceCorrelate?: boolean;
  /** Is told what was lost, at its place among the events. */
  lost?: (loss: Loss, stream: DataStream) => void;
  /** Reading holds up the thread: quicker, for a program that has nothing else to do. */
  isAlone?: boolean;
  /** Takes lines; they are its own until it has resolved. */
  write(lines: Uint8Array): Promise<void>;
}
