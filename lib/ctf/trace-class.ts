/** What metadata says of a trace; the same for CTF 1.8 and CTF 2. */
import type { StructType } from './field-types.ts';

export interface ClockClass {
  name: string;
  frequencyHz: bigint;
  /** What it showed at its origin: whole seconds and cycles, together. */
  offsetSeconds: bigint;
  offsetCycles: bigint;
  /** Its origin is 1970-01-01T00:00:00Z. */
  isAbsolute: boolean;
  /** As text in lower case: clocks of one UUID show the same time. */
  uuid: string | undefined;
  description: string | undefined;
}

export interface EventClass {
  id: bigint;
  name: string;
  /** 0 (emergency) to 14 (debug). */
  logLevel: number | undefined;
  emfUri: string | undefined;
  context: StructType | undefined;
  payload: StructType | undefined;
}

export interface StreamClass {
  id: bigint;
  packetContext: StructType | undefined;
  eventHeader: StructType | undefined;
  /** Of every event of the stream. */
  eventContext: StructType | undefined;
  /** By id; empty where only packets were asked for. */
  events: ReadonlyMap<bigint, EventClass>;
}

export interface TraceClass {
  format: 'ctf-1.8' | 'ctf-2';
  /** 16 bytes; undefined: the trace has none. */
  uuid: Buffer | undefined;
  packetHeader: StructType | undefined;
  /** By id. */
  streams: ReadonlyMap<bigint, StreamClass>;
  /** By name. */
  clocks: ReadonlyMap<string, ClockClass>;
  /** Facts of the producer, by name. */
  environment: ReadonlyMap<string, bigint | string>;
}

/** A UUID of 16 bytes as text. */
export function uuidText(uuid: Buffer): string {
  return uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The 16 bytes of a UUID from its text, in either case; undefined: it is none. */
export function uuidOf(text: string): Buffer | undefined {
  const groups = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(text);
  return groups === null ? undefined : Buffer.from(groups.slice(1).join(''), 'hex');
}
