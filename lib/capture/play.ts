/**
 * Plays one side of a recorded conversation to a live peer: the clients' to a server, or the server's to clients that
 * connect. What the peer says is held against the recording; the first difference ends it. Viewers repeat the numbers that
 * a relay gave them: `replayed-viewer.ts`. For producers' side of the relay protocol there is `replayer.ts`.
 *
 * As a client all connections are played in the recorded order. As a server each is played for itself, for clients
 * with several connections do not use them in the same order twice.
 */
import type { Socket } from 'node:net';
import { limits } from '../limits.ts';
import type { Address } from '../network/address.ts';
import { dial } from '../network/dial.ts';
import { listen } from '../network/listen.ts';
import { listenPath } from '../network/listen-unix.ts';
import { Tempo } from '../stage/tempo.ts';
import type { ConnectionOpen, ConnectionRole, Direction } from './conversation.ts';
import { LearntIds } from './learnt-ids.ts';
import { Played, Queue } from './played-connection.ts';
import { readRecording } from './recording.ts';

export interface PlayOptions {
  /** A frame log with a conversation, as `Recorder` makes it. */
  path: string;
  /** Who we are. */
  side: 'client' | 'server';
  /** Where the peer is, or where to listen (port 0: any), by role; connections of other roles are passed over. */
  ports: Readonly<Partial<Record<ConnectionRole, Address>>>;
  /** 1 = at the recorded pace, 2 = twice as fast; absent: as fast as the peer goes. */
  speed?: number;
  /** How long the peer may take to say what was recorded, or to read; milliseconds. */
  timeoutMs?: number;
  /** As a server: called once it listens, with the addresses by role. */
  onListening?: (ports: Partial<Record<ConnectionRole, Address>>) => void;
  /** Ends it; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What was played. */
export interface PlayReport {
  connections: number;
  sentBytes: number;
  heardBytes: number;
  /** From the first to the last record. */
  recordedMs: number;
  elapsedMs: number;
}

/**
 * Plays a recording and resolves when every connection has come to its recorded end. Rejects MR_ERR_CAPTURE_MISMATCH at
 * the first difference, MR_ERR_NETWORK_DIAL, MR_ERR_NETWORK_LISTEN, MR_ERR_NETWORK_LOST, MR_ERR_STAGE_STALLED,
 * MR_ERR_LOG_RECORD, MR_ERR_DISK_READ, or the signal's reason.
 */
export async function play(options: PlayOptions): Promise<PlayReport> {
  const over = new AbortController();
  const signal = options.signal === undefined ? over.signal : AbortSignal.any([over.signal, options.signal]);
  const player = new Player(options, signal);
  try {
    return await (options.side === 'client' ? player.asClient() : player.asServer());
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    over.abort();
  }
}

class Player {
  readonly #options: PlayOptions;
  readonly #signal: AbortSignal;
  readonly #timeoutMs: number;
  readonly #ours: Direction;
  readonly #ids = new LearntIds();
  readonly #report: PlayReport = { connections: 0, sentBytes: 0, heardBytes: 0, recordedMs: 0, elapsedMs: 0 };

  constructor(options: PlayOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#timeoutMs = options.timeoutMs ?? limits.replySeconds * 1000;
    this.#ours = options.side === 'client' ? 'toServer' : 'fromServer';
  }

  async asClient(): Promise<PlayReport> {
    const { path, speed, ports } = this.#options;
    const tempo = new Tempo(speed, this.#signal);
    const open = new Map<number, Played>();
    for await (const { timeNs, said } of readRecording(path)) {
      await tempo.until(timeNs);
      if (said.kind === 'connectionOpen') {
        const address = ports[said.role];
        if (address === undefined) continue;
        const signal = this.#signal;
        const socket = await dial(address, { allowHalfOpen: true, timeoutMs: this.#timeoutMs, signal });
        open.set(said.connection, this.#played(said, socket));
      } else await open.get(said.connection)?.play(said);
    }
    for (const played of open.values()) await played.finish();
    return { ...this.#report, recordedMs: tempo.recordedMs, elapsedMs: tempo.elapsedMs };
  }

  async asServer(): Promise<PlayReport> {
    const { path, ports } = this.#options;
    const startMs = performance.now();
    const waiting = new Map<ConnectionRole, Queue>();
    const listeners: Array<{ close(): Promise<void> }> = [];
    const addresses: Partial<Record<ConnectionRole, Address>> = {};
    try {
      for (const [role, address] of Object.entries(ports) as Array<[ConnectionRole, Address]>) {
        const queue = new Queue(this.#signal);
        waiting.set(role, queue);
        const accept = (socket: Socket) => queue.put(socket);
        const half = { allowHalfOpen: true };
        const listener =
          address.path === undefined
            ? await listen(address, accept, half)
            : await listenPath(address.path, accept, half);
        listeners.push(listener);
        addresses[role] = listener.address;
      }
      this.#options.onListening?.(addresses);
      const tracks: Promise<void>[] = [];
      for await (const { said } of readRecording(path)) {
        if (said.kind !== 'connectionOpen') continue;
        const queue = waiting.get(said.role);
        if (queue === undefined) continue;
        const track = this.#track(said, queue.take());
        // it may fail while the recording is still being read
        track.catch(() => {});
        tracks.push(track);
      }
      for (const queue of waiting.values()) queue.close();
      await Promise.all(tracks);
    } finally {
      for (const queue of waiting.values()) queue.close();
      for (const listener of listeners) void listener.close();
    }
    return { ...this.#report, elapsedMs: performance.now() - startMs };
  }

  /** One connection of a client, from its acceptance to its end. */
  async #track(open: ConnectionOpen, accepted: Promise<Socket>): Promise<void> {
    const { path, speed } = this.#options;
    const played = this.#played(open, await accepted);
    const tempo = new Tempo(speed, this.#signal);
    for await (const { timeNs, said } of readRecording(path)) {
      if (said.connection !== open.connection) continue;
      await tempo.until(timeNs);
      if (said.kind !== 'connectionOpen') await played.play(said);
    }
    this.#report.recordedMs = Math.max(this.#report.recordedMs, tempo.recordedMs);
    await played.finish();
  }

  #played(open: ConnectionOpen, socket: Socket): Played {
    const { path, side } = this.#options;
    this.#report.connections += 1;
    this.#signal.addEventListener('abort', () => socket.destroy());
    return new Played({
      open,
      socket,
      path,
      side,
      ours: this.#ours,
      timeoutMs: this.#timeoutMs,
      ids: this.#ids,
      report: this.#report,
    });
  }
}
