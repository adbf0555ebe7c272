/**
 * The relay daemon inside a process: listeners, connections, and the store they write to. Everything that a
 * connection needs is in `RelayState`; everything that ends is taken out of its tables in one place.
 */
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { CompleteChunk } from '../disk/chunk-registry.ts';
import { makeDirectory } from '../disk/directories.ts';
import { Journal } from '../disk/journal.ts';
import { passingPath, shownPath } from '../disk/passing.ts';
import { loadPacketReaderOf } from '../disk/recover.ts';
import { TraceStore } from '../disk/trace-store.ts';
import { type Listener, listen } from '../network/listen.ts';
import { openRangeLocks } from '../os/range-locks.ts';
import { SlabPool } from '../stage/slab.ts';
import { tell } from '../telemetry.ts';
import type { Forwarder } from './forward/forwarder.ts';
import { Health, type Vitals } from './health.ts';
import type { Relay, RelayAddresses, RelayOptions, RelayStatus } from './options.ts';
import { Producers } from './producers.ts';
import type { RelayState } from './state.ts';
import { relayStatus } from './status.ts';
import { ViewerDoor } from './viewer/door.ts';

/** How often strangers are looked at, at the most and in parts of the time they are allowed. */
const sweepMs = 5000;
const sweepsPerTime = 4;
/** How often it is noted that everything moves. */
const beatMs = 1000;
/** At the end: how often it is checked whether producers still send. */
const drainStepMs = 20;

/** Makes a relay that does nothing before `start`. See `Relay`. */
export function createRelay(options: RelayOptions): Relay {
  return new RelayServer(options);
}

class RelayServer implements Relay {
  readonly #options: RelayOptions;
  readonly #startedMs = Date.now();
  #state: RelayState | undefined;
  #journal: Journal | undefined;
  #listeners: Listener[] = [];
  #health: Health | undefined;
  #addresses: RelayAddresses;
  #producers: Producers | undefined;
  #viewers: ViewerDoor | undefined;
  #timers: NodeJS.Timeout[] = [];
  #closing: Promise<void> | undefined;
  #onGone: () => void = () => {};

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#addresses = { control: options.control, data: options.data, live: options.live };
  }

  get addresses(): RelayAddresses {
    return this.#addresses;
  }

  async start(): Promise<void> {
    const { outputPath, control, data, live, durability, syncIntervalMs, limits } = this.#options;
    makeDirectory(outputPath);
    const locks = openRangeLocks();
    this.#journal = Journal.open(outputPath, locks, await loadPacketReaderOf(outputPath));
    // What only passed when a relay died here is in the spools.
    rmSync([outputPath, ...passingPath].join('/'), { recursive: true, force: true });
    const state = this.#newState(this.#journal, locks, await this.#newForwarder());
    this.#state = state;
    const gone = () => this.#oneGone(state);
    const producers = new Producers(state, gone);
    this.#producers = producers;
    const viewers = new ViewerDoor(state, gone);
    this.#viewers = viewers;
    try {
      // One after the other, so that a port that is taken is told alone.
      const serve = async (at: Parameters<typeof listen>[0], accept: (socket: Socket) => void) => {
        const listener = await listen(at, (socket) => {
          accept(socket);
          this.#shareDescriptors(state);
        });
        this.#listeners.push(listener);
      };
      await serve(control, (socket) => producers.accept(socket, 'control'));
      await serve(data, (socket) => producers.accept(socket, 'data'));
      await serve(live, (socket) => viewers.accept(socket));
      if (this.#options.udp !== undefined) {
        // loaded here, so that a relay without datagrams does not wait for it
        const { UdpReceiver } = await import('./udp/receiver.ts');
        state.udp = await UdpReceiver.open(this.#options.udp, state);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    const [c, d, l] = this.#listeners as [Listener, Listener, Listener];
    const udp = state.udp?.address;
    this.#addresses = { control: c.address, data: d.address, live: l.address, ...(udp && { udp }) };
    state.forwarder?.start();
    state.store.book.sweep();
    const health = new Health(() => this.#vitals(), limits.healthSeconds * 1000);
    this.#health = health;
    this.#timers.push(setInterval(() => health.beat(), beatMs).unref());
    const everyMs = Math.min(sweepMs, (limits.strangerSeconds * 1000) / sweepsPerTime);
    this.#timers.push(setInterval(() => this.#sweep(), everyMs).unref());
    if (durability === 'sync')
      this.#timers.push(setInterval(() => this.#state?.store.syncPoint(), syncIntervalMs).unref());
    tell(
      'info',
      'relay:listening',
      `listening: control ${text(c)}, data ${text(d)}, live ${text(l)}; output ${outputPath}`,
      {
        control: text(c),
        data: text(d),
        live: text(l),
        output: outputPath,
      },
    );
    this.#tellRecovered();
  }

  /** Chunks that a relay which died here could not tell of. */
  #tellRecovered(): void {
    for (const chunk of this.#journal?.recovery.complete ?? []) this.#chunkComplete(chunk);
  }

  #chunkComplete({ path, ...chunk }: CompleteChunk): void {
    // what only passes through is not kept
    if (shownPath(path) !== path) return;
    this.#options.onChunkComplete?.({ ...chunk, path: `${this.#options.outputPath}/${path}` });
  }

  status(): RelayStatus {
    const { control, data, strangers } = this.#producers as Producers;
    const viewers = this.#viewers as ViewerDoor;
    const connections = { control, data, live: viewers.size, strangers };
    return relayStatus(this.#state as RelayState, this.#startedMs, this.#addresses, connections, viewers);
  }

  health(): number {
    return this.#health?.bits ?? 0;
  }

  /** Listeners that were stopped at the end have not failed. */
  #vitals(): Vitals {
    const { env, totals } = (this.#state as RelayState).store.context;
    const [control, data, live] = this.#listeners;
    const isClosing = this.#closing !== undefined;
    return {
      bytesInFlight: env.bytesInFlight,
      writtenBytes: totals.bytes + totals.metadataBytes,
      listening: isClosing || (control?.listening === true && data?.listening === true),
      liveListening: isClosing || live?.listening === true,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#drained();
    this.#cut();
    await this.#connectionsGone();
    const state = this.#state;
    if (state === undefined) return;
    await state.udp?.close();
    await state.store.closed();
    await state.forwarder?.close((this.#options.limits.closeSeconds * 1000) / 2);
    this.#journal?.close();
    const { packets, bytes } = state.store.context.totals;
    tell(
      'info',
      'relay:closed',
      `closed: ${state.totals.sessions} sessions, ${packets} packets, ${bytes} bytes`,
      { packets, bytes },
    );
  }

  destroy(): void {
    for (const listener of this.#listeners) listener.stop();
    for (const timer of this.#timers) clearInterval(timer);
    this.#cut();
    void this.#state?.udp?.close();
  }

  /** Waits until producers that are sending have come to a pause, but not for ever: what is on its way is kept. */
  async #drained(): Promise<void> {
    const deadlineMs = Date.now() + (this.#options.limits.closeSeconds * 1000) / 5;
    const received = () => {
      const { packets, bytes } = this.#state?.store.context.totals ?? { packets: 0, bytes: 0 };
      return packets + bytes + (this.#state?.pool.inUse ?? 0);
    };
    for (let before = -1; before !== received() && Date.now() < deadlineMs; ) {
      before = received();
      await new Promise((resolve) => setTimeout(resolve, drainStepMs));
    }
  }

  /** Resolves when the last connection has let go of its session: what sessions do at their end is still noted. */
  async #connectionsGone(): Promise<void> {
    if (this.#connections === 0) return;
    await new Promise<void>((resolve) => {
      this.#onGone = resolve;
    });
  }

  #oneGone(state: RelayState): void {
    this.#shareDescriptors(state);
    if (this.#connections === 0) this.#onGone();
  }

  get #connections(): number {
    return (this.#producers?.size ?? 0) + (this.#viewers?.size ?? 0);
  }

  #cut(): void {
    this.#producers?.destroy();
    this.#viewers?.destroy();
    for (const session of this.#state?.sessions.values() ?? []) session.abort();
  }

  /** Loaded here, so that a relay that passes nothing on does not wait for it. */
  async #newForwarder(): Promise<Forwarder | undefined> {
    const { forward, allowHops = false, outputPath } = this.#options;
    if (forward === undefined && !allowHops) return undefined;
    const { Forwarder } = await import('./forward/forwarder.ts');
    const { defaultForward } = await import('./forward/options.ts');
    return new Forwarder(forward ?? defaultForward(outputPath));
  }

  #sweep(): void {
    this.#viewers?.sweep();
    this.#producers?.sweep();
  }

  #newState(
    journal: Journal,
    locks: ReturnType<typeof openRangeLocks>,
    forwarder: Forwarder | undefined,
  ): RelayState {
    const { outputPath, groupOutputBy, durability, fdPoolSize, keepFreeBytes, limits } = this.#options;
    const { forward, tap } = this.#options;
    const taps = [forwarder, tap].filter((each) => each !== undefined);
    const store = new TraceStore({
      outputPath,
      isPassing: (session) =>
        tap !== undefined || forward?.noStore === true || forwarder?.hasRoute(session) === true,
      onFrame: (frame, slab) => {
        for (const each of taps) each.frame(frame, slab);
      },
      grouping: groupOutputBy,
      locks,
      journal,
      durability,
      fdPoolSize,
      reserveBytes: keepFreeBytes,
      onChunkComplete: (chunk) => this.#chunkComplete(chunk),
      onStreamClosed: (handle) => {
        const stream = state.streams.get(handle);
        state.streams.delete(handle);
        for (const each of taps) each.streamClosed(handle);
        stream?.session.streamClosed(handle);
      },
    });
    const state: RelayState = {
      options: this.#options,
      limits,
      store,
      pool: new SlabPool({
        slabBytes: limits.slabBytes,
        slabs: limits.slabs + (forwarder === undefined ? 0 : limits.forwardSlabs),
      }),
      scratch: Buffer.allocUnsafeSlow(limits.scratchBytes),
      sessions: new Map(),
      streams: new Map(),
      lastSession: 0,
      lastStream: 0,
      totals: { sessions: 0, streams: 0 },
      refused: {},
      udp: undefined,
      takers: new Map(),
      forwarder,
      taps,
      sessionEnded: (session) => state.sessions.delete(session.id),
    };
    return state;
  }

  /** Files may hold the descriptors that connections leave. */
  #shareDescriptors({ store }: RelayState): void {
    store.context.env.pool.reserve(this.#connections);
  }
}

function text({ address }: Listener): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
