/** A trace store on a directory of its own, fed frame by frame, and what it told its journal. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { chunkWriter } from '../../lib/disk/chunk-writer.ts';
import { Pace } from '../../lib/disk/pace.ts';
import type { Durability } from '../../lib/disk/store-context.ts';
import { TraceStore } from '../../lib/disk/trace-store.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import type { Data, Frame, Index } from '../../lib/stage/frames.ts';
import { looseSlab } from '../../lib/stage/slab.ts';
import { tree, until } from './relay.ts';
import type { IndexFacts } from './requests.ts';

// Directory names hold local time; expectations are written in UTC.
process.env.TZ = 'UTC';

export interface StoreSettings {
  durability?: Durability;
  /** Every write goes through the thread pool, as on a disk that stalls. */
  pooled?: boolean;
  reserveBytes?: number;
}

/** A disk that has been slow, on a clock that stands still: no write is made at once. */
export function slowPace(): Pace {
  const pace = new Pace(() => 10_000);
  pace.took(0);
  return pace;
}

const locks = openRangeLocks();

/** See the file's head. */
export class TestStore {
  readonly settings: StoreSettings;
  readonly outputPath: string;
  readonly store: TraceStore;
  /** Renames of trace chunks, `NUMBER -> TO`; numbers are the journal's. */
  readonly moves: string[] = [];
  /** Trace chunks that are complete, by their paths. */
  readonly complete: string[] = [];
  readonly closedStreams = new Set<number>();
  readonly #writer: Writable;

  private constructor(settings: StoreSettings) {
    this.settings = settings;
    this.outputPath = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-store-')));
    let numbers = 0;
    const number = () => {
      numbers += 1;
      return numbers;
    };
    const nothing = () => undefined;
    this.store = new TraceStore({
      outputPath: this.outputPath,
      grouping: 'host',
      locks,
      journal: {
        fileOpened: number,
        fileNoted: number,
        fileCommitted: nothing,
        fileClosed: nothing,
        settle: nothing,
        frame: nothing,
        chunkMade: number,
        chunkDirectory: nothing,
        moveBegun: (chunk, to) => this.moves.push(`${chunk} -> ${to}`),
        fileFound: nothing,
        moveDone: nothing,
        chunkClosed: nothing,
        chunkGone: nothing,
      },
      durability: settings.durability ?? 'none',
      reserveBytes: settings.reserveBytes ?? 0,
      onChunkComplete: ({ path }) => this.complete.push(path),
      onStreamClosed: (handle) => this.closedStreams.add(handle),
    });
    if (settings.pooled === true) this.store.context.env.pace = slowPace();
    this.#writer = chunkWriter(this.store);
    this.#writer.on('error', () => undefined);
  }

  static open(t: Pick<ExecutionContext, 'teardown'>, settings: StoreSettings = {}): TestStore {
    const store = new TestStore(settings);
    const syncs = setInterval(() => store.store.syncPoint(), 5);
    t.teardown(() => {
      clearInterval(syncs);
      rmSync(store.outputPath, { recursive: true, force: true });
    });
    return store;
  }

  /** Control facts of one read: accepted one by one, then what they completed is written. */
  accept(...frames: Frame[]): void {
    for (const frame of frames) this.store.accept(frame);
    this.store.flush();
  }

  /** Metadata of one command, or of a part of it. */
  metadata(stream: number, text: string, { version = 0, last = true, paddingSizeBytes = 0 } = {}): void {
    const bytes = Buffer.from(text);
    const slab = looseSlab(bytes);
    const place = { start: 0, end: bytes.length, last, paddingSizeBytes };
    this.store.accept({ kind: 'metadata', session: 1, stream, version, ...place }, slab);
    slab.release();
    this.store.flush();
  }

  /** One read of a data connection; resolves when its memory is free again. */
  data(...parts: readonly DataPart[]): Promise<void> {
    const bytes = Buffer.concat(parts.map(({ content, from = 0, to }) => content.subarray(from, to)));
    let at = 0;
    const frames = parts.map(({ stream, netSeqNum, content, from = 0, to, paddingSizeBytes = 0 }): Data => {
      const end = to ?? content.length;
      const start = at;
      at += end - from;
      const last = end === content.length;
      const dataSizeBytes = content.length;
      const range = {
        offsetBytes: from,
        start,
        end: at,
        last,
        paddingSizeBytes: last ? paddingSizeBytes : 0,
      };
      return { kind: 'data', stream, netSeqNum, dataSizeBytes, ...range };
    });
    return new Promise((resolve, reject) => {
      const written = (error?: Error | null) => {
        // Nothing may read the memory of a batch that is done.
        bytes.fill(0xee);
        if (error) reject(error);
        else resolve();
      };
      this.#writer.write({ slab: looseSlab(bytes), frames }, written);
    });
  }

  /** Resolves when the stream's files are closed. */
  streamClosed(stream: number): Promise<void> {
    return until(
      () => this.closedStreams.has(stream),
      () => `stream ${stream} is open`,
    );
  }

  /** Resolves when no file is open; rejects when one stays so. */
  async idle(): Promise<void> {
    const { env } = this.store.context;
    const open = () => [...env.open].map(({ path }) => path).join(', ');
    await until(() => env.open.size === 0, open);
  }

  /** Files below the output directory, or a part of it; directories that hold none are left out. */
  files(directory = ''): Record<string, Buffer> {
    const found = Object.entries(tree(join(this.outputPath, directory)));
    return Object.fromEntries(found.filter((entry): entry is [string, Buffer] => entry[1] !== null));
  }
}

/** Bytes `[from, to)` of a packet. */
export interface DataPart {
  stream: number;
  netSeqNum: bigint;
  content: Buffer;
  from?: number;
  to?: number;
  paddingSizeBytes?: number;
}

/** The frame of a SEND_INDEX. */
export function indexFrame(stream: number, netSeqNum: bigint, facts: IndexFacts): Index {
  const { timestampBegin: timestampBeginCycles, timestampEnd: timestampEndCycles, ...rest } = facts;
  return {
    kind: 'index',
    stream,
    netSeqNum,
    timestampBeginCycles,
    timestampEndCycles,
    metadataPositionBytes: 0,
    ...rest,
  };
}

/** Every way in which two sequences can be merged without changing the order within either. */
export function* interleavings<T>(a: readonly T[], b: readonly T[]): Generator<T[]> {
  const [firstOfA, ...restOfA] = a;
  const [firstOfB, ...restOfB] = b;
  if (firstOfA === undefined || firstOfB === undefined) {
    yield [...a, ...b];
    return;
  }
  for (const rest of interleavings(restOfA, b)) yield [firstOfA, ...rest];
  for (const rest of interleavings(a, restOfB)) yield [firstOfB, ...rest];
}
