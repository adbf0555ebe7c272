/**
 * The viewer's side of one recorded live connection, played to a live relay that holds the same trace: its numbers are put
 * in place of the recorded ones (`LearntIds`), and its answers must say the same in all else. Where one of the two relays
 * was not yet as far as the other, that is no difference: the live one is asked again, or its answer is kept until
 * the recorded one gave it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { limits } from '../limits.ts';
import type { Struct } from '../schema/index.ts';
import { Framer } from '../stage/framer.ts';
import {
  indexStatus,
  metadataStatus,
  newStreamsStatus,
  packetStatus,
  unknownCommand,
  type ViewerCommandName,
  viewerCommands,
  viewerHeader,
  viewerReplyBytes,
  viewerReplyLayout,
  viewerRequestLayout,
} from '../wire/live/index.ts';
import type { Mismatch } from './heard.ts';
import { differenceOf, type LearntIds } from './learnt-ids.ts';
import type { LiveSocket } from './live-socket.ts';
import { ReadAhead } from './read-ahead.ts';

/** The head of a reply, whichever it is. */
interface Reply {
  status?: number;
  minor?: number;
  streams?: readonly object[];
  sessions?: readonly { hostname: string; sessionName: string }[];
  lengthBytes?: number | bigint;
}

interface Asked {
  /** undefined: a number that is no command. */
  command: ViewerCommandName | undefined;
  bytes: Buffer;
}

/** Between two questions whether the relay is as far, milliseconds. */
const pollMs = 10;
const headerBytes = viewerHeader.minSizeBytes;

/** Answers that say "not yet". */
const notYet: Partial<Record<ViewerCommandName, readonly number[]>> = {
  getNextIndex: [indexStatus.retry, indexStatus.inactive],
  getNextRecord: [indexStatus.retry, indexStatus.inactive],
  getPacket: [packetStatus.retry],
  getMetadata: [metadataStatus.noNew],
  getNewStreams: [newStreamsStatus.noNew],
};

/** Fields in which each relay says its own, or what is so at the moment: how many streams and viewers, what is new. */
const ofItsOwn: ReadonlySet<string> = new Set(['minor', 'streams', 'clients', 'flags']);

/** See the file's head. */
export class ReplayedViewer {
  readonly #ids: LearntIds;
  readonly #mismatch: Mismatch;
  readonly #timeoutMs: number;
  readonly #framer: Framer<{ bodyBytes: number; collectBytes: number; command: number }>;
  readonly #recorded = new ReadAhead();
  readonly #live = new ReadAhead();
  #socket: LiveSocket | undefined;
  /** Requests that the last bytes completed. */
  #ready: Asked[] = [];
  /** Requests whose recorded reply has not been dealt with. */
  readonly #asked: Asked[] = [];
  /** Live answers that the recorded relay gave later, by request. */
  readonly #kept = new Map<string, { head: Reply; body: Buffer }>();
  /** Bytes that follow the last head. */
  #bodyBytes = 0;
  #minor = 0;

  constructor(options: { ids: LearntIds; mismatch: Mismatch; timeoutMs: number }) {
    this.#ids = options.ids;
    this.#mismatch = options.mismatch;
    this.#timeoutMs = options.timeoutMs;
    this.#framer = new Framer(
      { what: 'recorded request', headerBytes, header: (bytes, at) => this.#header(bytes, at) },
      {
        begin: ({ command }, bytes, start, end) => this.#request(command, bytes.subarray(start, end)),
        part: () => {},
      },
    );
  }

  /** Plays over this socket; `live` is what its bytes go to. */
  attach(socket: LiveSocket): void {
    this.#socket = socket;
  }

  live(bytes: Buffer): boolean {
    return this.#live.push(bytes);
  }

  /** What is said may go on: see `live`. */
  onRoom(resume: () => void): void {
    this.#live.onRoom = resume;
  }

  /** Relays go by the command alone: so long is its payload. */
  #header(bytes: Buffer, at: number): { bodyBytes: number; collectBytes: number; command: number } {
    const { command, dataSizeBytes } = viewerHeader.decode(bytes, at, at + headerBytes);
    const name = viewerCommands.get(command)?.name;
    const size =
      name === undefined ? Number(dataSizeBytes) : viewerRequestLayout(name, this.#minor).minSizeBytes;
    return { command, bodyBytes: size, collectBytes: Math.min(size, limits.controlPayloadBytes) };
  }

  #request(code: number, payload: Buffer): void {
    const command = viewerCommands.get(code)?.name;
    const header = { dataSizeBytes: BigInt(payload.length), command: code, commandVersion: 0 };
    const bytes = Buffer.concat([viewerHeader.encode(header), payload]);
    if (command !== undefined)
      this.#ids.rewrite(viewerRequestLayout(command, this.#minor), bytes.subarray(headerBytes));
    this.#ready.push({ command, bytes });
  }

  /** What the viewer said: asks the live relay, unless that has answered already. Resolves to how many bytes left. */
  async toServer(bytes: Buffer): Promise<number> {
    this.#framer.feed(bytes, 0, bytes.length);
    const ready = this.#ready.splice(0);
    this.#asked.push(...ready);
    const sent = ready.map((asked) => asked.bytes).filter((request) => !this.#kept.has(keyOf(request)));
    if (sent.length > 0) await this.#open.send(sent);
    return sent.reduce((sum, { length }) => sum + length, 0);
  }

  /** What the recorded relay said: waits until the live one has said as much, and compares. */
  async fromServer(bytes: Buffer): Promise<void> {
    this.#recorded.push(bytes);
    while (this.#bodyBytes > 0 ? await this.#body() : await this.#head());
  }

  get #open(): LiveSocket {
    return this.#socket as LiveSocket;
  }

  /** Compares what has been recorded of the bytes behind a head. Returns whether there was anything. */
  async #body(): Promise<boolean> {
    const length = Math.min(this.#bodyBytes, this.#recorded.length);
    if (length === 0) return false;
    const [expected, got] = [this.#recorded.take(length), await this.#liveBytes(length)];
    this.#bodyBytes -= length;
    const at = expected.findIndex((byte, n) => byte !== got[n]);
    if (at >= 0) throw this.#mismatch('bytes of a packet', shown(got, at), shown(expected, at));
    return true;
  }

  /** Deals with the next recorded reply. Returns whether it was there whole. */
  async #head(): Promise<boolean> {
    const [asked] = this.#asked;
    if (asked === undefined) return false;
    const recorded = this.#decoded(asked, this.#recorded);
    if (recorded === undefined) return false;
    this.#asked.shift();
    const { command, bytes } = asked;
    const key = keyOf(bytes);
    const kept = this.#kept.get(key);
    let live = kept?.head ?? (await this.#answer(asked));
    const giveUpAtMs = performance.now() + this.#timeoutMs;
    while (isNotYet(command, live) && !isNotYet(command, recorded) && performance.now() < giveUpAtMs) {
      await delay(pollMs);
      await this.#open.send([bytes]);
      live = await this.#answer(asked);
    }
    if (isNotYet(command, recorded)) {
      if (kept === undefined && !isNotYet(command, live)) await this.#keep(key, live);
      return true;
    }
    this.#kept.delete(key);
    if (kept !== undefined) this.#live.putBack(kept.body);
    this.#compare(asked, recorded, live);
    this.#bodyBytes = bodyOf(command, recorded);
    return true;
  }

  async #keep(key: string, head: Reply): Promise<void> {
    const length = bodyOf('getMetadata', head);
    if (length > limits.metadataBytes) throw this.#mismatch('metadata', `${length} bytes`, 'less');
    this.#kept.set(key, { head, body: await this.#liveBytes(length) });
  }

  #compare({ command = 'connect', bytes }: Asked, recorded: Reply, live: Reply): void {
    const layout = viewerReplyLayout(command, this.#minor);
    if (command === 'connect') {
      const { minor } = viewerRequestLayout('connect', 0).decode(bytes, headerBytes);
      const [got, expected] = [live, recorded].map((reply) => Math.min(minor, reply.minor ?? 0)) as [
        number,
        number,
      ];
      if (got !== expected) throw this.#mismatch('negotiated minor', String(got), String(expected));
      this.#minor = expected;
    }
    // Which others there are is not what the viewer asked for.
    if (recorded.sessions !== undefined) {
      const names = new Set(recorded.sessions.map(nameOf));
      live.sessions = live.sessions?.filter((session) => names.has(nameOf(session))) ?? [];
    }
    const difference = differenceOf(layout, recorded, live, ofItsOwn);
    if (difference !== undefined)
      throw this.#mismatch(`${command}: ${difference.field}`, difference.got, difference.expected);
    this.#ids.learn(layout, recorded, live);
  }

  async #answer(asked: Asked): Promise<Reply> {
    for (;;) {
      const reply = this.#decoded(asked, this.#live);
      if (reply !== undefined) return reply;
      await this.#more(asked.command ?? 'a number that is no command');
    }
  }

  async #liveBytes(length: number): Promise<Buffer> {
    while (this.#live.length < length) await this.#more('bytes of a packet');
    return this.#live.take(length);
  }

  #more(what: string): Promise<void> {
    return this.#open.within(this.#live.more(), this.#mismatch(what, 'nothing', 'an answer'));
  }

  /** The head of the reply in front, if it is there whole. */
  #decoded({ command }: Asked, from: ReadAhead): Reply | undefined {
    const { bytes } = from;
    const size =
      command === undefined
        ? unknownCommand.minSizeBytes
        : viewerReplyBytes(command, this.#minor, bytes, 0, bytes.length);
    if (bytes.length < size) return undefined;
    const layout: Struct<object> =
      command === undefined ? unknownCommand : viewerReplyLayout(command, this.#minor);
    return layout.decode(from.take(size));
  }
}

function isNotYet(command: ViewerCommandName | undefined, { status = -1, streams }: Reply): boolean {
  if (command === 'getNewStreams' && status === newStreamsStatus.ok) return streams?.length === 0;
  return command !== undefined && notYet[command]?.includes(status) === true;
}

/** Bytes behind the head. */
function bodyOf(command: ViewerCommandName | undefined, { lengthBytes = 0 }: Reply): number {
  return command === 'getPacket' || command === 'getMetadata' ? Number(lengthBytes) : 0;
}

const nameOf = ({ hostname, sessionName }: { hostname: string; sessionName: string }): string =>
  `${hostname}/${sessionName}`;

const keyOf = (request: Buffer): string => request.toString('latin1');

const shown = (bytes: Buffer, at: number): string => bytes.subarray(at, at + 16).toString('hex');
