/** What a sessiond has its consumers do with trace chunks, and how a session's directory looks afterwards. */
import assert from 'node:assert';
import type { Producer } from './producer.ts';
import * as r from './requests.ts';

/** Times of `requests.ts` as directory names have them: when chunks are created, when they are closed. */
export const created = '20231114T221321+0000';
export const closed = '20231114T221329+0000';

/** Name of chunk `n` once it has been current, and once it is in the archives. */
export const settled = (n: number): string => `${created}-${n}`;
export const archived = (n: number): string => `archives/${created}-${closed}-${n}`;

/** Values of CLOSE_TRACE_CHUNK. */
export const actions = { move: 0, none: 1, delete: 2 } as const;

/** CLOSE_TRACE_CHUNK; returns the path that the producer is told. */
export async function closeChunk(
  producer: Producer,
  chunk: bigint,
  action?: keyof typeof actions,
): Promise<string> {
  const request = r.closeTraceChunk(chunk, action === undefined ? undefined : actions[action]);
  const reply = await producer.control.ask(request, 8);
  assert.equal(reply.readUInt32BE(0), 10, 'CLOSE_TRACE_CHUNK');
  const path = await producer.control.read(reply.readUInt32BE(4));
  assert.equal(path.at(-1), 0);
  return path.toString('utf8', 0, path.length - 1);
}

/** TRACE_CHUNK_EXISTS. */
export async function exists(producer: Producer, chunk: bigint): Promise<boolean> {
  const reply = await producer.control.ask(r.traceChunkExists(chunk), 5);
  assert.equal(reply.readUInt32BE(0), 10, 'TRACE_CHUNK_EXISTS');
  return reply[4] === 1;
}

/** Sends a request that must be refused: the reply, in hexadecimal, after which the relay closes. */
export async function refusal(producer: Producer, request: Buffer): Promise<string> {
  producer.control.write(request);
  return (await producer.control.rest()).toString('hex');
}
