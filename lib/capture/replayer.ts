/**
 * Plays the producer's side of a recorded conversation to a live relay: the same requests and packets in the same
 * order over the same connections, each no sooner than the replies that the producer had when it sent it. Stream
 * handles and session ids are the live relay's; its answers must be the recorded ones.
 */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Address } from '../network/address.ts';
import { dial } from '../network/dial.ts';
import { Framer } from '../stage/framer.ts';
import { Tempo } from '../stage/tempo.ts';
import { dataHeader } from '../wire/relay/index.ts';
import type { ConnectionOpen, Utterance } from './conversation.ts';
import { LearntIds } from './learnt-ids.ts';
import { LiveSocket } from './live-socket.ts';
import { readRecording } from './recording.ts';
import { ReplayedControl, type ReplayTotals } from './replayed-control.ts';

export interface ReplayOptions {
  /** A frame log with a conversation, as `Recorder` makes it. */
  path: string;
  control: Address;
  data: Address;
  /** 1 = at the recorded pace, 2 = twice as fast; absent: as fast as the relay goes. */
  speed?: number;
  /** How long the relay may take for a reply, or to read; milliseconds. */
  replyTimeoutMs?: number;
  /** Ends the replay; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What was played. Bytes are those sent to the relay. */
export interface ReplayReport extends ReplayTotals {
  connections: number;
  packets: number;
  controlBytes: number;
  dataBytes: number;
  /** From the first to the last record. */
  recordedMs: number;
  elapsedMs: number;
}

/** One recorded connection on its live socket. */
interface Played {
  socket: LiveSocket;
  toServer(bytes: Buffer): Promise<void>;
  fromServer(bytes: Buffer): Promise<void>;
}

/**
 * Replays a conversation and resolves when the relay has closed every connection. Connections of viewers are
 * passed over. Rejects MR_ERR_CAPTURE_MISMATCH where the relay answers otherwise or not at all,
 * MR_ERR_NETWORK_DIAL, MR_ERR_NETWORK_LOST, MR_ERR_STAGE_STALLED, MR_ERR_LOG_RECORD, MR_ERR_DISK_READ.
 */
export async function replay(options: ReplayOptions): Promise<ReplayReport> {
  const { signal } = options;
  const replayer = new Replayer(options);
  const cut = () => replayer.destroy();
  signal?.addEventListener('abort', cut);
  try {
    return await replayer.run();
  } catch (error) {
    // what was lost by cutting is not what went wrong
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cut);
    replayer.destroy();
  }
}

class Replayer {
  readonly #options: ReplayOptions;
  readonly #timeoutMs: number;
  readonly #ids = new LearntIds();
  readonly #open = new Map<number, Played>();
  readonly #report: ReplayReport = {
    connections: 0,
    requests: 0,
    replies: 0,
    askedAgain: 0,
    packets: 0,
    controlBytes: 0,
    dataBytes: 0,
    sessions: [],
    recordedMs: 0,
    elapsedMs: 0,
  };

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#timeoutMs = options.replyTimeoutMs ?? limits.replySeconds * 1000;
  }

  async run(): Promise<ReplayReport> {
    const { path, speed, signal } = this.#options;
    const tempo = new Tempo(speed, signal);
    for await (const { timeNs, said } of readRecording(path)) {
      await tempo.until(timeNs);
      await this.#play(said);
    }
    for (const [connection, { socket }] of this.#open) {
      socket.end();
      await this.#closed(connection, socket);
    }
    return { ...this.#report, recordedMs: tempo.recordedMs, elapsedMs: tempo.elapsedMs };
  }

  destroy(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  async #play(said: Utterance): Promise<void> {
    const { connection } = said;
    if (said.kind === 'connectionOpen') {
      if (said.role === 'control' || said.role === 'data')
        this.#open.set(connection, await this.#connect(said));
      return;
    }
    const played = this.#open.get(connection);
    if (played === undefined) return;
    if (said.kind === 'bytes') await played[said.direction](said.bytes);
    else if (said.direction === 'toServer') played.socket[said.outcome]();
    else if (said.outcome === 'end') await this.#closed(connection, played.socket);
  }

  /** The recorded relay had ended this connection: so must the live one. */
  async #closed(connection: number, socket: LiveSocket): Promise<void> {
    if (socket.isEnded) return;
    const { path } = this.#options;
    const facts = { path, what: `connection ${connection}`, got: 'open', expected: 'ended by the relay' };
    await socket.within(socket.endedByPeer, new MillraceError('MR_ERR_CAPTURE_MISMATCH', facts));
  }

  async #connect({ connection, role }: ConnectionOpen): Promise<Played> {
    const { path, signal } = this.#options;
    const address = role === 'data' ? this.#options.data : this.#options.control;
    const dialled = await dial(address, {
      allowHalfOpen: true,
      timeoutMs: this.#timeoutMs,
      ...(signal && { signal }),
    });
    this.#report.connections += 1;
    const name = `relay (${role} connection ${connection})`;
    if (role === 'data') return this.#playData(new LiveSocket(dialled, name, this.#timeoutMs, () => {}));
    const control = new ReplayedControl({
      path,
      ids: this.#ids,
      totals: this.#report,
      timeoutMs: this.#timeoutMs,
    });
    const socket = new LiveSocket(dialled, name, this.#timeoutMs, (bytes) => control.live(bytes));
    control.attach(socket);
    return {
      socket,
      toServer: (bytes) => {
        this.#report.controlBytes += bytes.length;
        return control.toServer(bytes);
      },
      fromServer: (bytes) => control.fromServer(bytes),
    };
  }

  /** A data connection: the packets as they came, their handles rewritten. */
  #playData(socket: LiveSocket): Played {
    let ready: Buffer[] = [];
    const framer = new Framer(
      {
        what: 'recorded data frame',
        headerBytes: dataHeader.minSizeBytes,
        header: (bytes, at) => {
          const header = Buffer.from(bytes.subarray(at, at + dataHeader.minSizeBytes));
          this.#ids.rewrite(dataHeader, header);
          return { header, bodyBytes: dataHeader.decode(header).dataSizeBytes, collectBytes: 0 };
        },
      },
      {
        begin: ({ header }) => {
          this.#report.packets += 1;
          ready.push(header);
        },
        part: (_, bytes, start, end) => ready.push(bytes.subarray(start, end)),
      },
    );
    return {
      socket,
      toServer: async (bytes) => {
        this.#report.dataBytes += bytes.length;
        framer.feed(bytes, 0, bytes.length);
        const sent = ready;
        ready = [];
        await socket.send(sent);
      },
      fromServer: async () => {},
    };
  }
}
