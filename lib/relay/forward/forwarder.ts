/**
 * Passes what producers send on to other relays: one spool and one shipper for each session and target. What has been
 * spooled by a process that died is brought there first. The producer notices nothing of an outage, until the spools are
 * full; then its data is held back, or the oldest packets go.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Spool } from '../../disk/spool.ts';
import type { TailBudget } from '../../disk/spool-tail.ts';
import { thinOldest } from '../../disk/spool-thin.ts';
import { why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { FrameBatch } from '../../stage/batch.ts';
import type { Frame } from '../../stage/frames.ts';
import type { Slab } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import { parseRoute } from '../client/route.ts';
import type { FrameTap } from '../tap.ts';
import { type ForwardOptions, type ForwardStatus, type ForwardTarget, targetOf } from './options.ts';
import { Shipper } from './shipper.ts';

interface Way {
  session: number;
  spool: Spool;
  shipper: Shipper;
}

const usualSegmentBytes = 16 * 1024 * 1024;
const spoolName = /^(\d+)-(\d+)-(\d+)$/;

/** See the file's head. */
export class Forwarder implements FrameTap {
  readonly #options: ForwardOptions;
  readonly #ways = new Set<Way>();
  /** Sessions of streams that are open. */
  readonly #sessionOf = new Map<number, number>();
  readonly #bySession = new Map<number, Way[]>();
  /** Sets apart the spools of this process from those of others before it. */
  readonly #run = Date.now();
  /** Where sessions go on to that named a way themselves. */
  readonly #routes = new Map<number, ForwardTarget>();
  /** What is held in memory of all spools. */
  readonly #tails: TailBudget = { held: 0, most: limits.forwardSlabs };
  #droppedPackets = 0;
  #thinning = false;

  constructor(options: ForwardOptions) {
    this.#options = options;
  }

  /** Takes up what processes before this one have left. */
  start(): void {
    const { spoolPath, targets } = this.#options;
    let names: string[] = [];
    try {
      names = readdirSync(spoolPath).sort();
    } catch {
      // there never was one
    }
    for (const name of names) {
      if (!spoolName.test(name)) continue;
      const directory = `${spoolPath}/${name}`;
      try {
        const spool = Spool.open(directory);
        const { uri } = spool.note;
        const target = targets.find((each) => each.uri === uri) ?? targetOf(String(uri));
        tell(
          'info',
          'forward:recovered',
          `${directory}: ${spool.sizeBytes} bytes are brought to ${target.uri}`,
        );
        this.#ship(-1, spool, target);
      } catch (error) {
        tell('error', 'forward:spool', `${directory} cannot be read: ${why(error)}`);
      }
    }
  }

  get status(): ForwardStatus {
    const { spoolSizeBytes } = this.#options;
    const ways = [...this.#ways].map(({ shipper }) => shipper.status);
    return { spoolBytes: this.#spoolBytes, spoolSizeBytes, droppedPackets: this.#droppedPackets, ways };
  }

  get #spoolBytes(): number {
    let bytes = 0;
    for (const { spool } of this.#ways) bytes += spool.sizeBytes;
    return bytes;
  }

  /** Takes note of a fact; `slab` is retained as long as its bytes are needed. */
  frame(frame: Frame, slab: Slab | undefined): void {
    if (frame.kind === 'sessionOpen') this.#open(frame.session);
    if (frame.kind === 'streamOpen') this.#sessionOf.set(frame.stream, frame.session);
    const session = 'session' in frame ? frame.session : this.#sessionOf.get(frame.stream);
    // A stream ends when its last packet is here: its end may come before that.
    if (session === undefined || frame.kind === 'streamEnd') return;
    for (const { spool } of this.#bySession.get(session) ?? [])
      spool.append({ slab: slab?.retain(), frames: [frame] });
    if (frame.kind === 'sessionEnd') this.#end(session);
  }

  /** Nothing more comes of a stream. */
  streamClosed(stream: number): void {
    const session = this.#sessionOf.get(stream);
    if (session === undefined) return;
    this.#sessionOf.delete(stream);
    for (const { spool } of this.#bySession.get(session) ?? [])
      spool.append({
        slab: undefined,
        frames: [{ kind: 'streamEnd', session, stream, lastNetSeqNum: undefined }],
      });
  }

  /** Takes note of packets; the batch stays the caller's. Resolves when there is room for more. */
  async data({ slab, frames }: FrameBatch): Promise<void> {
    let from = 0;
    if (this.#spoolBytes + bytesOf(frames) > this.#options.spoolSizeBytes)
      // Held back between packets: within one, nothing of it could be acknowledged.
      for (const [at, frame] of frames.entries()) {
        if (frame.kind !== 'data' || !frame.last) continue;
        await this.#data(slab, frames.slice(from, at + 1));
        await this.#roomForMore();
        from = at + 1;
      }
    if (from < frames.length) await this.#data(slab, frames.slice(from));
  }

  async #data(slab: Slab | undefined, frames: readonly Frame[]): Promise<void> {
    const sessions = new Map<number, Frame[]>();
    for (const frame of frames) {
      const session = this.#sessionOf.get((frame as { stream: number }).stream);
      if (session === undefined) continue;
      const mine = sessions.get(session);
      if (mine === undefined) sessions.set(session, [frame]);
      else mine.push(frame);
    }
    const spools: Spool[] = [];
    for (const [session, mine] of sessions)
      for (const { spool } of this.#bySession.get(session) ?? []) {
        spool.append({ slab: slab?.retain(), frames: mine });
        spools.push(spool);
      }
    for (const spool of spools) await spool.room();
  }

  /** Whether what came of a stream so far is in its spools, or beyond. */
  isWritten(stream: number): boolean {
    const ways = this.#bySession.get(this.#sessionOf.get(stream) ?? -1) ?? [];
    return ways.every(({ spool }) => spool.isWritten(stream));
  }

  /** Resolves when the spools are not full, or can get no emptier. */
  async #roomForMore(): Promise<void> {
    const { spoolSizeBytes, whenFull } = this.#options;
    while (this.#spoolBytes > spoolSizeBytes) {
      const spools = [...this.#ways].map(({ spool }) => spool);
      for (const spool of spools) spool.tighten();
      if (whenFull === 'drop-oldest') {
        if (this.#thinning || !(await this.#dropOldest())) return;
        continue;
      }
      if (spools.every(({ failed }) => failed !== undefined)) return;
      // What was announced can only go when its data is here.
      if (spools.some(({ awaitsData }) => awaitsData)) return;
      tell(
        'debug',
        'forward:full',
        `the spools are full: ${this.#spoolBytes} bytes; producers are held back`,
      );
      await Promise.race(spools.map((spool) => spool.change()));
    }
  }

  /** Drops the packets of the oldest segment that can go; resolves to whether there was one. */
  async #dropOldest(): Promise<boolean> {
    this.#thinning = true;
    try {
      for (const { spool, shipper } of this.#ways) {
        const dropped = await thinOldest(spool, shipper.reading);
        if (dropped === undefined) continue;
        this.#droppedPackets += dropped;
        tell(
          'error',
          'forward:dropped',
          `${shipper.status.uri}: ${dropped} packets dropped, the spool is full`,
          {
            packets: dropped,
          },
        );
        return true;
      }
      return false;
    } finally {
      this.#thinning = false;
    }
  }

  #open(session: number): void {
    const { spoolPath } = this.#options;
    const route = this.#routes.get(session);
    const targets = route === undefined ? this.#options.targets : [route];
    // Of all its ways together, so that its producer's data never has to wait for what the slowest of them holds.
    const tails = [this.#tails, { held: 0, most: limits.forwardSlabsPerSession }];
    this.#bySession.set(
      session,
      targets.map((target, at) => {
        const directory = `${spoolPath}/${this.#run}-${session}-${at}`;
        return this.#ship(session, this.#created(directory, target, tails), target);
      }),
    );
  }

  #created(directory: string, { uri }: ForwardTarget, tails: readonly TailBudget[]): Spool {
    const spool = Spool.create(directory, segmentBytesOf(this.#options), tails);
    spool.noted({ uri, token: randomBytes(16).toString('hex') });
    return spool;
  }

  #ship(session: number, spool: Spool, target: ForwardTarget): Way {
    const shipper = new Shipper(spool, target);
    const way = { session, spool, shipper };
    this.#ways.add(way);
    void shipper.done.then(() => this.#ways.delete(way));
    return way;
  }

  #end(session: number): void {
    for (const { spool } of this.#bySession.get(session) ?? []) spool.end();
    this.#bySession.delete(session);
    this.#routes.delete(session);
  }

  /** Throws MR_ERR_NETWORK_URI for what is no way to a relay. */
  checkRoute(uri: string): void {
    parseRoute(uri);
  }

  /** A session that is about to open goes there, and nowhere else. */
  route(session: number, uri: string): void {
    this.#routes.set(session, targetOf(uri));
  }

  hasRoute(session: number): boolean {
    return this.#routes.has(session);
  }

  /** Waits, at most so long, until the next relays have everything; what is left stays in the spools. */
  async close(deadlineMs: number): Promise<void> {
    for (const session of this.#bySession.keys()) this.#end(session);
    const ways = [...this.#ways];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([Promise.all(ways.map(({ shipper }) => shipper.done)), late]);
    clearTimeout(timer);
    await Promise.all([...this.#ways].map(({ shipper }) => shipper.stop()));
  }
}

/** Some segments fit, so that the acknowledged ones can go. */
function segmentBytesOf({ spoolSizeBytes }: ForwardOptions): number {
  return Math.min(usualSegmentBytes, Math.ceil(spoolSizeBytes / 8));
}

function bytesOf(frames: readonly Frame[]): number {
  return frames.reduce((sum, frame) => (frame.kind === 'data' ? sum + frame.end - frame.start : sum), 0);
}
