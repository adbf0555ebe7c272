/** What the order stage remembers: of each session and stream that is open, and nothing of what has ended. */
import type { Limits } from '../../limits.ts';
import type { Data, Lost, StreamEnd, Sync } from '../frames.ts';
import type { StreamState } from '../grammar.ts';
import type { Note } from '../oddities.ts';
import type { PacketNumbers } from './numbers.ts';
import type { Held, Runs, Shelf } from './runs.ts';

/** What the parts of one order stage share. */
export interface OrderParts {
  runs: Runs;
  shelf: Shelf;
  note: Note;
  ceilings: Limits;
}

export interface SessionMemory {
  handle: number;
  /** No index comes, so none is missed. */
  isIndexless: boolean;
  /** The chunk that a new stream begins in. */
  current: bigint | undefined;
  chunks: Set<bigint>;
  streams: Map<number, StreamMemory>;
  hadStreams: boolean;
  hadChunks: boolean;
  syncs: Held<Sync>[];
  /** By path: streams of one path are one trace (relay-protocol §7.4). */
  traces: Map<string, TraceMemory>;
}

/** How much metadata one trace has: of the text now being sent, and the most it ever had. */
export interface TraceMemory {
  textBytes: number;
  mostBytes: number;
}

export interface StreamMemory {
  handle: number;
  session: SessionMemory;
  trace: TraceMemory;
  state: StreamState;
  numbers: PacketNumbers;
  /** Bytes of the current packet that have passed. */
  offsetBytes: number;
  /** Packets ahead of their turn, frames of each in the order they came. */
  held: Map<bigint, Held<Data | Lost>[]>;
  /** Its end has come, its last data has not. */
  ending: StreamEnd | undefined;
  chunk: bigint | undefined;
  isPublished: boolean;
  /** Due by the tracer's own count. */
  packetSeqNum: bigint | undefined;
  metadataVersion: number | undefined;
  /** Its metadata goes to another chunk and has to begin anew. */
  isRotated: boolean;
}
