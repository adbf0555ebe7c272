/** Takes a script's steps into a store, and says on stdout what is committed. */
import { writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { chunkWriter } from '../../../lib/disk/chunk-writer.ts';
import { StreamWriter } from '../../../lib/disk/stream-writer.ts';
import type { TraceStore } from '../../../lib/disk/trace-store.ts';
import type { SessionOpen } from '../../../lib/stage/frames.ts';
import { looseSlab } from '../../../lib/stage/slab.ts';
import { packetBytes } from './ledger.ts';

/** Seconds since 1970 of the sessions' creation. */
export const createdS = 1_700_000_000n;

export function say(line: string): void {
  writeSync(1, `${line}\n`);
}

interface Stream {
  name: string;
  handle: number;
  session: number;
  sessionName: string;
  /** Packets, or metadata commands of this chunk. */
  sent: number;
  /** Chunk of what is sent next. */
  chunk: number;
}

export interface DataStream extends Stream {
  /** From which packet on the next chunk counts. */
  later: { from: number; chunk: number } | undefined;
  /** How many packets it was said of that they are committed. */
  said: number;
}

export interface MetadataStream extends Stream {
  path: string;
  bytes: number;
}

/** See the file's head. */
export class Feed {
  readonly store: TraceStore;
  readonly streams: DataStream[] = [];
  readonly metadata: MetadataStream[] = [];
  readonly #sink;
  #handles = 0;

  constructor(store: TraceStore) {
    this.store = store;
    this.#sink = chunkWriter(store);
  }

  session(session: number, sessionName: string, snapshot: boolean): void {
    const open: SessionOpen = {
      kind: 'sessionOpen',
      session,
      hostname: 'vm',
      sessionName,
      sessiondUuid: '4fd983d1e2674e59beb273be5f2c6231',
      idSessiond: BigInt(sessionName.length * 256 + sessionName.charCodeAt(0)),
      creationTimeS: createdS,
      nameHasCreationTime: false,
      basePath: '',
      liveTimerUs: 0,
      snapshot,
      minor: 15,
      traceFormat: 'ctf-1.8',
    };
    this.store.accept(open);
  }

  chunkOpen(session: number, chunk: number, overrideName?: string): void {
    const creationTimeS = createdS + BigInt(chunk * 10);
    this.store.accept({ kind: 'chunkOpen', session, chunk: BigInt(chunk), creationTimeS, overrideName });
  }

  addStream(session: number, sessionName: string, path: string, name: string, size = 0n, count = 0n): void {
    this.#handles += 1;
    const handle = this.#handles;
    const open = { kind: 'streamOpen', session, stream: handle, channelName: name, path } as const;
    this.store.accept({ ...open, tracefileSizeBytes: size, tracefileCount: count });
    const next = { sent: 0, chunk: 0, later: undefined, said: 0 };
    this.streams.push({ name, handle, session, sessionName, ...next });
  }

  addMetadata(session: number, sessionName: string, path: string): void {
    this.#handles += 1;
    const handle = this.#handles;
    const open = { kind: 'streamOpen', session, stream: handle, channelName: 'metadata', path } as const;
    this.store.accept({ ...open, tracefileSizeBytes: 0n, tracefileCount: 0n });
    this.metadata.push({
      name: 'metadata',
      handle,
      session,
      sessionName,
      path,
      sent: 0,
      chunk: 0,
      bytes: 0,
    });
  }

  index({ handle, name }: Stream, seq: number): void {
    const bits = BigInt(packetBytes(name, seq).length * 8);
    const times = { timestampBeginCycles: BigInt(seq * 10), timestampEndCycles: BigInt(seq * 10 + 9) };
    this.store.accept({
      kind: 'index',
      stream: handle,
      netSeqNum: BigInt(seq),
      packetSizeBits: bits,
      contentSizeBits: bits,
      ...times,
      eventsDiscarded: 0n,
      streamClassId: 1n,
      streamInstanceId: BigInt(handle),
      packetSeqNum: BigInt(seq),
      metadataPositionBytes: 0,
    });
  }

  /** A packet in two parts, in batches of their own. */
  async data({ handle, name }: Stream, seq: number): Promise<void> {
    const bytes = packetBytes(name, seq);
    const middle = 1 + ((seq * 31) % (bytes.length - 1));
    const whole = { kind: 'data', stream: handle, netSeqNum: BigInt(seq), paddingSizeBytes: 0 } as const;
    for (const [start, end] of [
      [0, middle],
      [middle, bytes.length],
    ] as const) {
      const part = {
        offsetBytes: start,
        dataSizeBytes: bytes.length,
        start,
        end,
        last: end === bytes.length,
      };
      const batch = { slab: looseSlab(bytes), frames: [{ ...whole, ...part }] };
      await new Promise<void>((resolve, reject) => {
        this.#sink.write(batch, (error) => (error ? reject(error) : resolve()));
      });
    }
  }

  async sendMetadata(metadata: MetadataStream): Promise<void> {
    const text = Buffer.from(`declaration ${metadata.sent};\n`);
    metadata.sent += 1;
    const { handle: stream, session } = metadata;
    const slab = looseSlab(text);
    const part = { start: 0, end: text.length, last: true, paddingSizeBytes: 0 };
    this.store.accept({ kind: 'metadata', session, stream, version: 0, ...part }, slab);
    slab.release();
    await this.settle();
    metadata.bytes += text.length;
    const { sessionName, chunk, path, bytes } = metadata;
    say(`metadata ${sessionName} ${chunk} ${path} ${bytes}`);
  }

  /** Everything is written; says which packets are committed now. */
  async settle(): Promise<void> {
    this.store.flush();
    while (this.store.context.env.bytesInFlight > 0) await setImmediate();
    for (const stream of this.streams) {
      const writer = this.store.stream(stream.handle);
      const stored = writer instanceof StreamWriter ? writer.ledger.stored.netSeqNum : undefined;
      for (; stored !== undefined && BigInt(stream.said) <= stored; stream.said += 1)
        say(`stored ${stream.sessionName} ${stream.name} ${stream.said}`);
    }
  }
}
