/** What every output that is made of lines has to say: how scopes are written, and what comes before them. */
import type { MakeEmitter } from '../ctf/decode/emitter.ts';
import type { EventClass } from '../ctf/trace-class.ts';
import type { DataStream } from './data-streams.ts';
import type { Loss } from './losses.ts';
import type { Moment } from './moment.ts';
import type { TextBuffer } from './text/text-buffer.ts';
import type { Trace } from './trace.ts';

/** What is known of a stream when its code is compiled. */
export interface StreamFacts {
  trace: Trace;
  streamClassId: bigint;
  hasClock: boolean;
  /** Something of its packets' context is shown. */
  hasPacketText: boolean;
}

/** When an event happened; undefined: its stream has no clock. */
export interface EventTime extends Moment {
  hasClock: boolean;
  /** The clock's value in two words. */
  clockHigh: number;
  clockLow: number;
}

export interface LineFormat {
  packet(facts: StreamFacts): MakeEmitter;
  body(facts: StreamFacts, event: EventClass): MakeEmitter;
  /** Writes what comes before the body and depends on the event before. */
  prefix(out: TextBuffer, time: EventTime): void;
  /** Writes what comes after the body, or makes something else of it: it stands at the end of `out`. */
  suffix?(out: TextBuffer, time: EventTime): void;
  /** Writes that something was lost; absent: it is told elsewhere. */
  lost?(out: TextBuffer, loss: Loss, stream: DataStream): void;
}
