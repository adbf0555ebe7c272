/** What metadata says of a trace, as far as its packets are concerned; the same for CTF 1.8 and CTF 2. */
import type { StructType } from './field-types.ts';

export interface StreamClass {
  id: bigint;
  packetContext: StructType | undefined;
  /** Whether events begin with a header. */
  hasEventHeader: boolean;
}

export interface TraceClass {
  format: 'ctf-1.8' | 'ctf-2';
  /** 16 bytes; undefined: the trace has none. */
  uuid: Buffer | undefined;
  packetHeader: StructType | undefined;
  /** By id. */
  streams: ReadonlyMap<bigint, StreamClass>;
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
