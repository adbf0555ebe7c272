import type { ExecutionContext } from 'ava';

/** Bytes to decode, and where their fields begin and end (offsets), as known from their layout. */
export interface Fixture {
  name: string;
  bytes: Buffer;
  edges: number[];
}

/**
 * Feeds a decoder each fixture whole, one byte at a time, split at every edge, and two glued together; `decode` gets
 * the pieces and returns the list of events, which must be the same each time.
 */
export function chop(
  t: ExecutionContext,
  fixtures: Fixture[],
  decode: (pieces: Buffer[]) => unknown[],
): void {
  for (const { name, bytes, edges } of fixtures) {
    const whole = decode([bytes]);
    t.true(whole.length > 0, `${name}: no events`);
    t.deepEqual(decode([...bytes].map((byte) => Buffer.from([byte]))), whole, `${name}: byte by byte`);
    for (const at of edges) {
      t.deepEqual(decode([bytes.subarray(0, at), bytes.subarray(at)]), whole, `${name}: split at ${at}`);
    }
    t.deepEqual(decode([Buffer.concat([bytes, bytes])]), [...whole, ...whole], `${name}: two glued`);
  }
}
