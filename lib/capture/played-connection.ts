/** One connection of a replay and its live peer, and the connections that wait for their turn. */
import type { Socket } from 'node:net';
import { MillraceError } from '../errors.ts';
import { tell } from '../telemetry.ts';
import type { ConnectionOpen, Direction, Utterance } from './conversation.ts';
import { type Heard, HeardBytes, HeardRequests, heardAnything } from './heard.ts';
import type { LearntIds } from './learnt-ids.ts';
import { LiveSocket } from './live-socket.ts';
import { ReplayedViewer } from './replayed-viewer.ts';

export interface PlayedOptions {
  open: ConnectionOpen;
  socket: Socket;
  path: string;
  side: 'client' | 'server';
  ours: Direction;
  timeoutMs: number;
  /** Of all connections that are played. */
  ids: LearntIds;
  /** Bytes are counted there. */
  report: { sentBytes: number; heardBytes: number };
}

/** One connection and its live peer. */
export class Played {
  readonly #options: PlayedOptions;
  readonly #name: string;
  readonly #socket: LiveSocket;
  readonly #heard: Heard;
  /** Of a viewer, which must say the live relay's numbers. */
  readonly #viewer: ReplayedViewer | undefined;

  constructor(options: PlayedOptions) {
    const { open, socket, side, timeoutMs, ids, report } = options;
    this.#options = options;
    this.#name = `${open.role} connection ${open.connection}`;
    const mismatch = (what: string, got: string, expected: string) => this.#mismatch(what, got, expected);
    const isViewer = side === 'client' && open.role === 'live';
    const viewer = isViewer ? new ReplayedViewer({ ids, mismatch, timeoutMs }) : undefined;
    this.#viewer = viewer;
    viewer?.onRoom(() => socket.resume());
    if (side === 'server' && open.role === 'control') this.#heard = new HeardRequests(mismatch);
    else if (side === 'server' && open.role === 'data') this.#heard = heardAnything;
    else this.#heard = new HeardBytes(mismatch, () => socket.resume());
    this.#socket = new LiveSocket(socket, this.#name, timeoutMs, (bytes) => {
      report.heardBytes += bytes.length;
      if (!(viewer ?? this.#heard).live(bytes)) socket.pause();
    });
    viewer?.attach(this.#socket);
  }

  async play(said: Exclude<Utterance, ConnectionOpen>): Promise<void> {
    const { ours, report } = this.#options;
    if (said.kind === 'bytes' && this.#viewer !== undefined) {
      if (said.direction === ours) report.sentBytes += await this.#viewer.toServer(said.bytes);
      else await this.#viewer.fromServer(said.bytes);
    } else if (said.kind === 'bytes' && said.direction === ours) {
      report.sentBytes += said.bytes.length;
      await this.#socket.send([said.bytes]);
    } else if (said.kind === 'bytes') {
      const late = this.#mismatch('what it says', 'nothing', `${said.bytes.length} bytes more`);
      await this.#socket.within(this.#heard.recorded(said.bytes), late);
    } else if (said.direction === ours) this.#socket[said.outcome]();
    else if (said.outcome === 'end') {
      const late = this.#mismatch('the connection', 'open', 'ended by the peer');
      if (!this.#socket.isEnded) await this.#socket.within(this.#socket.endedByPeer, late);
    }
  }

  /** The recording says no more of it: what was said leaves. */
  finish(): Promise<void> {
    return this.#socket.finish();
  }

  #mismatch(what: string, got: string, expected: string): MillraceError {
    const { path } = this.#options;
    return new MillraceError('MR_ERR_CAPTURE_MISMATCH', {
      path,
      what: `${this.#name}: ${what}`,
      got,
      expected,
    });
  }
}

/** Sockets in order of acceptance, for those who wait for them in the order of the recording. */
export class Queue {
  readonly #sockets: Socket[] = [];
  readonly #takers: Array<(socket: Socket) => void> = [];
  readonly #signal: AbortSignal;
  #closed = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  put(socket: Socket): void {
    const taker = this.#takers.shift();
    socket.on('error', () => {});
    if (taker !== undefined) taker(socket);
    else if (!this.#closed) this.#sockets.push(socket);
    else {
      tell('warn', 'capture:connection', 'a connection more than was recorded: closed');
      socket.destroy();
    }
  }

  take(): Promise<Socket> {
    const socket = this.#sockets.shift();
    if (socket !== undefined) return Promise.resolve(socket);
    return new Promise((resolve, reject) => {
      this.#takers.push(resolve);
      this.#signal.addEventListener('abort', () => reject(this.#signal.reason as Error), { once: true });
    });
  }

  /** No more are expected than have been asked for. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }
}
