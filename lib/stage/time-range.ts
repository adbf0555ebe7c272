/**
 * A stage that lets the packets of a span of time pass. A packet is judged by its index, which may come behind its
 * data: until then the data waits, and everything of its stream behind it. What is left of a stream is numbered anew,
 * so that no hole is taken for a loss.
 *
 * A packet that cannot be judged passes: without an index (snapshots), without a clock (metadata that comes last), or
 * when more would have to wait than the ceilings allow.
 */
import type { Duplex } from 'node:stream';
import { limits } from '../limits.ts';
import { tell } from '../telemetry.ts';
import type { FrameBatch } from './batch.ts';
import type { Data, Frame, Index, Lost } from './frames.ts';
import { Runs } from './order/runs.ts';
import { Renumbering } from './renumber.ts';
import type { Slab } from './slab.ts';
import { objectStage } from './stage.ts';

/** Nanoseconds since 1970 from what a trace's clock shows. */
export type Clock = (cycles: bigint) => bigint;

/** Which span; `clockOf` reads a clock from metadata, all that has come so far, or finds none in it yet. */
export interface TimeRange {
  beginNs?: bigint;
  endNs?: bigint;
  clockOf(metadata: Buffer): Clock | undefined;
}

interface Trace {
  metadata: Buffer[];
  clock: Clock | undefined;
}

interface Stream {
  session: number;
  /** undefined: everything of it passes as it is. */
  trace: Trace | undefined;
  numbers: Renumbering;
  /** Packets whose index has come, and whose turn has not. */
  indexes: Map<bigint, Index>;
  /** What waits, in its order. */
  held: { frame: Data | Lost; slab: Slab | undefined }[];
  /** The packet whose parts are passing or being dropped, and which of both. */
  current: { netSeqNum: bigint; keep: boolean } | undefined;
  /** Packets that have passed without their index. */
  passed: Set<bigint>;
}

/** A stage over FrameBatch. */
export function timeRange(range: TimeRange): Duplex {
  const runs = new Runs();
  const traces = new Map<string, Trace>();
  const streams = new Map<number, Stream>();
  const bare = new Set<number>();

  return objectStage<FrameBatch, FrameBatch>('time', {
    transform({ frames, slab }, push) {
      for (const frame of frames) take(frame, slab);
      runs.handOver(push);
      slab?.release();
    },
    flush(push) {
      for (const stream of streams.values()) release(stream, true);
      runs.handOver(push);
    },
    destroyed() {
      runs.release();
      for (const { held } of streams.values()) for (const { slab } of held) slab?.release();
    },
  });

  function take(frame: Frame, slab: Slab | undefined): void {
    switch (frame.kind) {
      case 'sessionOpen':
        if (frame.snapshot || frame.minor < 4) {
          bare.add(frame.session);
          tell('warn', 'stage:no-time', `${frame.sessionName} has no indexes: all of it passes`, {
            session: frame.session,
          });
        }
        break;
      case 'streamOpen':
        openStream(frame.session, frame.stream, `${frame.session} ${frame.path}`);
        break;
      case 'metadata':
        readMetadata(streams.get(frame.stream)?.trace, slab?.bytes.subarray(frame.start, frame.end));
        break;
      case 'sessionEnd':
        for (const [handle, stream] of streams)
          if (stream.session === frame.session) {
            release(stream, true);
            streams.delete(handle);
          }
        for (const key of traces.keys()) if (key.startsWith(`${frame.session} `)) traces.delete(key);
        bare.delete(frame.session);
        break;
      case 'streamEnd':
        endStream(frame);
        return;
      case 'data':
      case 'lost':
      case 'index':
      case 'inactive': {
        const stream = streams.get(frame.stream);
        if (stream?.trace === undefined) break;
        takeOf(stream, frame, slab);
        return;
      }
      case 'sync':
        runs.add({ ...frame, safe: frame.safe.flatMap(safeOf) }, undefined);
        return;
    }
    runs.add(frame, slab);
  }

  function openStream(session: number, handle: number, key: string): void {
    const trace = traces.get(key) ?? { metadata: [], clock: undefined };
    traces.set(key, trace);
    streams.set(handle, {
      session,
      trace: bare.has(session) ? undefined : trace,
      numbers: new Renumbering(),
      indexes: new Map(),
      held: [],
      current: undefined,
      passed: new Set(),
    });
  }

  function readMetadata(trace: Trace | undefined, bytes: Buffer | undefined): void {
    if (trace === undefined || trace.clock !== undefined || bytes === undefined) return;
    trace.metadata.push(Buffer.from(bytes));
    const text = Buffer.concat(trace.metadata);
    trace.metadata = text.length > limits.metadataBytes ? [] : [text];
    trace.clock = range.clockOf(text);
    if (trace.clock === undefined) return;
    trace.metadata = [];
    for (const stream of streams.values()) if (stream.trace === trace) release(stream, false);
  }

  function endStream(frame: Extract<Frame, { kind: 'streamEnd' }>): void {
    const stream = streams.get(frame.stream);
    if (stream !== undefined) release(stream, true);
    streams.delete(frame.stream);
    const { lastNetSeqNum } = frame;
    const last = lastNetSeqNum === undefined ? undefined : stream?.numbers.lastKept(lastNetSeqNum);
    runs.add({ ...frame, lastNetSeqNum: stream?.trace === undefined ? lastNetSeqNum : last }, undefined);
  }

  function takeOf(
    stream: Stream,
    frame: Extract<Frame, { kind: 'data' | 'lost' | 'index' | 'inactive' }>,
    slab: Slab | undefined,
  ): void {
    const { numbers, held } = stream;
    const { netSeqNum } = frame;
    if (frame.kind === 'inactive') {
      runs.add({ ...frame, netSeqNum: numbers.numberOf(netSeqNum) }, undefined);
    } else if (frame.kind === 'index') {
      if (stream.passed.delete(netSeqNum)) runs.add(renumbered(stream, frame), undefined);
      else stream.indexes.set(netSeqNum, frame);
      release(stream, false);
    } else {
      held.push({ frame, slab: frame.kind === 'data' ? slab?.retain() : undefined });
      release(stream, false);
    }
  }

  /** Lets pass, or drops, what is judged; `all`: also what cannot be. */
  function release(stream: Stream, all: boolean): void {
    for (let next = stream.held[0]; next !== undefined; next = stream.held[0]) {
      const keep = judge(stream, next.frame, all || isTooMuch(stream));
      if (keep === undefined) return;
      stream.held.shift();
      pass(stream, next.frame, next.slab, keep);
      next.slab?.release();
    }
  }

  function judge(stream: Stream, frame: Data | Lost, now: boolean): boolean | undefined {
    const { netSeqNum } = frame;
    if (stream.current?.netSeqNum === netSeqNum) return stream.current.keep;
    const index = stream.indexes.get(netSeqNum) ?? (frame.kind === 'lost' ? frame.index : undefined);
    const clock = stream.trace?.clock;
    if (index === undefined || clock === undefined) return now || frame.kind === 'lost' ? true : undefined;
    const { beginNs, endNs } = range;
    if (endNs !== undefined && clock(index.timestampBeginCycles) > endNs) return false;
    return beginNs === undefined || clock(index.timestampEndCycles) >= beginNs;
  }

  function pass(stream: Stream, frame: Data | Lost, slab: Slab | undefined, keep: boolean): void {
    const { netSeqNum } = frame;
    stream.numbers.begin(netSeqNum);
    const isFirst = stream.current?.netSeqNum !== netSeqNum;
    const isLast = frame.kind === 'lost' || frame.last;
    stream.current = isLast ? undefined : { netSeqNum, keep };
    const index = stream.indexes.get(netSeqNum);
    stream.indexes.delete(netSeqNum);
    if (!keep) {
      if (isFirst) stream.numbers.takeOut(netSeqNum);
      return;
    }
    // an index first: a loss settles it
    if (index !== undefined) runs.add(renumbered(stream, index), undefined);
    runs.add(renumbered(stream, frame), slab);
    if (index === undefined && isFirst && frame.kind === 'data') stream.passed.add(netSeqNum);
  }

  function renumbered<F extends Data | Lost | Index>({ numbers }: Stream, frame: F): F {
    return { ...frame, netSeqNum: numbers.numberOf(frame.netSeqNum) };
  }

  /** More waits than may: the first packet of it passes. */
  function isTooMuch({ held }: Stream): boolean {
    if (held.length > limits.orderHeldFrames) return true;
    return new Set(held.map(({ slab }) => slab)).size > limits.orderHeldSlabs;
  }

  function safeOf(entry: { stream: number; netSeqNum: bigint }): (typeof entry)[] {
    const stream = streams.get(entry.stream);
    if (stream?.trace === undefined) return [entry];
    const netSeqNum = stream.numbers.lastKept(entry.netSeqNum);
    return netSeqNum === undefined ? [] : [{ ...entry, netSeqNum }];
  }
}
