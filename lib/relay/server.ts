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
import { MillraceError } from '../errors.ts';
import { type Listener, listen } from '../network/listen.ts';
import { openRangeLocks } from '../os/range-locks.ts';
import { loseVanished, setSendTimeout } from '../os/socket-options.ts';
import { SlabPool } from '../stage/slab.ts';
import { tell } from '../telemetry.ts';
import { ControlConnection } from './control-connection.ts';
import { DataConnection } from './data-connection.ts';
import type { Forwarder } from './forward/forwarder.ts';
import { Health, type Vitals } from './health.ts';
import type { Relay, RelayAddresses, RelayOptions, RelayStatus } from './options.ts';
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

type Connection = ControlConnection | DataConnection;

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
  readonly #control = new Set<ControlConnection>();
  readonly #data = new Set<DataConnection>();
  /** Those of both that belong to no session yet. */
  readonly #strangers = new Set<Connection>();
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
    const viewers = new ViewerDoor(state, () => this.#oneGone(state));
    this.#viewers = viewers;
    try {
      // One after the other, so that a port that is taken is told alone.
      this.#listeners.push(await listen(control, (socket) => this.#accept(socket, 'control')));
      this.#listeners.push(await listen(data, (socket) => this.#accept(socket, 'data')));
      this.#listeners.push(
        await listen(live, (socket) => {
          viewers.accept(socket);
          this.#shareDescriptors(state);
        }),
      );
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
    const strangers = this.#strangers.size;
    const viewers = this.#viewers as ViewerDoor;
    const connections = {
      control: this.#control.size,
      data: this.#data.size,
      live: viewers.size,
      strangers,
    };
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

  #gone(connection: Connection): void {
    this.#strangers.delete(connection);
    if (connection instanceof ControlConnection) this.#control.delete(connection);
    else this.#data.delete(connection);
    this.#oneGone(this.#state as RelayState);
  }

  #oneGone(state: RelayState): void {
    this.#shareDescriptors(state);
    if (this.#connections === 0) this.#onGone();
  }

  get #connections(): number {
    return this.#control.size + this.#data.size + (this.#viewers?.size ?? 0);
  }

  #cut(): void {
    for (const connection of [...this.#control, ...this.#data]) connection.destroy();
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

  #accept(socket: Socket, role: 'control' | 'data'): void {
    const state = this.#state as RelayState;
    const strangers = this.#strangers.size;
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    if (strangers >= state.limits.strangers) {
      const code = 'MR_ERR_NETWORK_CEILING';
      const error = new MillraceError(code, { peer, got: strangers, expected: state.limits.strangers });
      state.refused[code] = (state.refused[code] ?? 0) + 1;
      tell('warn', 'relay:refused', error.message, { peer }, code);
      socket.destroy();
      return;
    }
    const { keepAlive, socketTimeoutMs } = this.#options;
    loseVanished(socket, keepAlive);
    if (socketTimeoutMs > 0) setSendTimeout(socket, socketTimeoutMs);
    const events = {
      joined: (known: Connection) => this.#strangers.delete(known),
      ended: (gone: Connection) => this.#gone(gone),
    };
    if (role === 'control') {
      const connection = new ControlConnection(state, socket, events);
      this.#control.add(connection);
      this.#strangers.add(connection);
    } else {
      const connection = new DataConnection(state, socket, events);
      this.#data.add(connection);
      this.#strangers.add(connection);
    }
    this.#shareDescriptors(state);
    tell('debug', 'relay:connection', `${role} connection from ${peer}`, { peer, role });
  }

  /** Files may hold the descriptors that connections leave. */
  #shareDescriptors({ store }: RelayState): void {
    store.context.env.pool.reserve(this.#connections);
  }

  /**
   * Ends connections that belong to no session and have been silent too long. A data connection says nothing
   * before its first packet, perhaps for days: it stays as long as its host has a session that waits for one.
   */
  #sweep(): void {
    this.#viewers?.sweep();
    const { limits, sessions } = this.#state as RelayState;
    const waiting = new Set<string>();
    for (const session of sessions.values()) if (!session.bound) waiting.add(session.owner.address);
    for (const connection of this.#strangers) {
      if (Date.now() - connection.openedMs < limits.strangerSeconds * 1000) continue;
      if (connection instanceof DataConnection && waiting.has(connection.address)) continue;
      const { peer } = connection;
      tell('warn', 'relay:idle', `${peer} belongs to no session: closed`, { peer }, 'MR_ERR_NETWORK_IDLE');
      connection.destroy();
    }
  }
}

function text({ address }: Listener): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
