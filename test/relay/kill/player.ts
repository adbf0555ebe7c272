/**
 * A script of sessions, drawn from a seed and played into a store: two consumers that share the trace chunks of one
 * session (rotated, cleared, closed without a command), a ring of tracefiles, and a snapshot. It says what it is
 * about to do, and what is committed, on stdout at once.
 */
import type { TraceStore } from '../../../lib/disk/trace-store.ts';
import type { ChunkDone } from '../../../lib/stage/frames.ts';
import { createdS, type DataStream, Feed, say } from './feed.ts';

/** Numbers below `n`, the same for each seed. */
function draws(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) % n;
  };
}

/** See the file's head. */
export class Player {
  readonly #feed: Feed;
  readonly #draw: (n: number) => number;
  /** Current trace chunk, by session name. */
  readonly #chunks = new Map([
    ['main', 0],
    ['ring', 0],
  ]);

  constructor(store: TraceStore, seed: number) {
    this.#feed = new Feed(store);
    this.#draw = draws(seed);
  }

  async play(): Promise<void> {
    this.#feed.session(1, 'main', false);
    this.#feed.session(2, 'main', false);
    this.#feed.session(3, 'ring', false);
    this.#feed.session(4, 'snap', true);
    this.#feed.chunkOpen(1, 0);
    this.#feed.chunkOpen(2, 0);
    this.#feed.chunkOpen(3, 0);
    this.#feed.chunkOpen(4, 0, 'snapshot-1');
    this.#feed.addMetadata(1, 'main', 'ust/uid/0/64-bit');
    this.#feed.addStream(1, 'main', 'ust/uid/0/64-bit', 'a_0');
    this.#feed.addStream(1, 'main', 'ust/uid/0/64-bit', 'a_1');
    this.#feed.addMetadata(2, 'main', 'kernel');
    this.#feed.addStream(2, 'main', 'kernel', 'k_0');
    this.#feed.addMetadata(3, 'ring', 'ust');
    this.#feed.addStream(3, 'ring', 'ust', 'ring', 100n, 2n);
    this.#feed.addMetadata(4, 'snap', 'ust');
    this.#feed.addStream(4, 'snap', 'ust', 'snap');
    for (let round = 0; round < 4; round += 1) {
      await this.#packets();
      const action = (['moveToCompleted', 'moveToCompleted', 'delete', 'none'] as const)[this.#draw(4)];
      if (this.#draw(4) > 0) await this.#rotate('main', [1, 2], action as ChunkDone['action']);
      if (round === 1) await this.#rotate('ring', [3], 'moveToCompleted');
    }
    await this.#packets();
    await this.#finish();
  }

  /** Some packets of each stream, their halves in either order; metadata in between. */
  async #packets(): Promise<void> {
    for (const metadata of this.#feed.metadata) await this.#feed.sendMetadata(metadata);
    for (const stream of this.#feed.streams)
      for (let left = this.#draw(4); left > 0; left -= 1) await this.#packet(stream, this.#draw(3) === 0);
  }

  async #packet(stream: DataStream, indexFirst = false): Promise<void> {
    const seq = this.#begin(stream);
    if (indexFirst) this.#feed.index(stream, seq);
    await this.#feed.data(stream, seq);
    if (!indexFirst) this.#feed.index(stream, seq);
    await this.#feed.settle();
  }

  #begin(stream: DataStream): number {
    const seq = stream.sent;
    stream.sent += 1;
    if (stream.later?.from === seq) {
      stream.chunk = stream.later.chunk;
      stream.later = undefined;
    }
    say(`begin ${stream.sessionName} ${stream.name} ${seq} ${stream.chunk}`);
    return seq;
  }

  /**
   * To the next chunk, at a packet behind which nothing was sent, or something whose index is missing, or before
   * which one is still to come.
   */
  async #rotate(name: string, sessions: number[], action: ChunkDone['action']): Promise<void> {
    const old = this.#chunks.get(name) as number;
    const streams = this.#feed.streams.filter(({ sessionName }) => sessionName === name);
    const late: Array<() => Promise<void>> = [];
    for (const session of sessions) this.#feed.chunkOpen(session, old + 1);
    this.#chunks.set(name, old + 1);
    for (const stream of streams) {
      const how = this.#draw(3);
      stream.chunk = old;
      let at = stream.sent;
      if (how === 1) {
        at += 1;
        late.push(() => this.#packet(stream));
      }
      stream.later = { from: at, chunk: old + 1 };
      if (how === 2) {
        const seq = this.#begin(stream);
        await this.#feed.data(stream, seq);
        late.push(async () => {
          this.#feed.index(stream, seq);
          await this.#feed.settle();
        });
      }
      const to = { atPacketSeqNum: BigInt(at), chunk: BigInt(old + 1) };
      this.#feed.store.accept({ kind: 'switch', stream: stream.handle, ...to });
    }
    for (const metadata of this.#feed.metadata.filter(({ sessionName }) => sessionName === name)) {
      const to = { atPacketSeqNum: 0n, chunk: BigInt(old + 1) };
      this.#feed.store.accept({ kind: 'switch', stream: metadata.handle, ...to });
      Object.assign(metadata, { chunk: old + 1, bytes: 0, sent: 0 });
      await this.#feed.sendMetadata(metadata);
    }
    const early = this.#draw(2) === 0;
    if (early) for (const step of late) await step();
    this.#closeChunk(name, sessions, old, action);
    if (!early) for (const step of late) await step();
  }

  #closeChunk(name: string, sessions: number[], chunk: number, action: ChunkDone['action']): void {
    say(`closing ${name} ${chunk} ${action}`);
    const closeTimeS = createdS + BigInt(chunk * 10 + 5);
    for (const session of sessions) {
      if (!this.#feed.store.chunkExists(session, BigInt(chunk))) continue;
      this.#feed.store.accept({ kind: 'chunkDone', session, chunk: BigInt(chunk), closeTimeS, action });
      say(`closed ${name} ${chunk} ${action}`);
    }
  }

  /** What `lttng destroy` does, after a last rotation while stopped or without one. */
  async #finish(): Promise<void> {
    const action = this.#draw(2) === 0 ? 'none' : 'moveToCompleted';
    for (const { handle } of [...this.#feed.streams, ...this.#feed.metadata])
      this.#feed.store.accept({ kind: 'switch', stream: handle, atPacketSeqNum: 0n, chunk: undefined });
    await this.#feed.settle();
    this.#closeChunk('main', [1, 2], this.#chunks.get('main') as number, action);
    this.#closeChunk('ring', [3], this.#chunks.get('ring') as number, 'none');
    for (const { handle, session, sent } of this.#feed.streams) {
      const lastNetSeqNum = sent === 0 ? undefined : BigInt(sent - 1);
      this.#feed.store.accept({ kind: 'streamEnd', session, stream: handle, lastNetSeqNum });
    }
    for (const { handle, session } of this.#feed.metadata)
      this.#feed.store.accept({ kind: 'streamEnd', session, stream: handle, lastNetSeqNum: undefined });
    await this.#feed.settle();
    for (const session of [1, 2, 3, 4])
      this.#feed.store.accept({ kind: 'sessionEnd', session, outcome: 'end' });
  }
}
