/**
 * The producer's side of one recorded control connection, played to a live relay. Each recorded request is sent
 * with the live relay's numbers in it; where the recorded reply stands in the log, the live one is awaited and
 * compared, so nothing goes out before what the producer had waited for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Struct } from '../schema/index.ts';
import { Framer } from '../stage/framer.ts';
import {
  type CommandName,
  relayCommands,
  replyLayout,
  requestHeader,
  requestLayout,
} from '../wire/relay/index.ts';
import type { LearntIds } from './learnt-ids.ts';
import type { LiveSocket } from './live-socket.ts';
import { type Reply, ReplyReader } from './replies.ts';

/** A request that has a reply, and how to say it again. */
interface Exchange {
  /** The command's name, or its number where it has none. */
  command: string;
  bytes: Buffer;
  layout: Struct<object>;
  minor: number;
  live: Promise<Reply>;
}

/** What a replay counts, and where the sessions went. */
export interface ReplayTotals {
  requests: number;
  replies: number;
  /** Requests that were sent again because the live relay was not yet as far as the recorded one. */
  askedAgain: number;
  sessions: Array<{ recordedPath: string; path: string }>;
}

interface RequestHeader {
  command: number;
  bodyBytes: number;
  collectBytes: number;
}

const headerBytes = requestHeader.minSizeBytes;
/** Between two questions whether the relay is through, milliseconds. Producers take 200 and 500. */
const pollMs = 10;

/** See the file's head. */
export class ReplayedControl {
  readonly #path: string;
  readonly #ids: LearntIds;
  readonly #totals: ReplayTotals;
  readonly #timeoutMs: number;
  readonly #framer: Framer<RequestHeader>;
  readonly #recordedReplies = new ReplyReader();
  readonly #liveReplies = new ReplyReader();
  #socket: LiveSocket | undefined;
  /** Requests that the last bytes completed. */
  #ready: Buffer[] = [];
  /** Recorded replies that the last bytes completed. */
  #due: Array<{ exchange: Exchange; recorded: Reply }> = [];
  #minor = 0;

  /** `path`: of the recording, for errors. `timeoutMs`: how long the relay may take for a reply. */
  constructor(options: { path: string; ids: LearntIds; totals: ReplayTotals; timeoutMs: number }) {
    this.#path = options.path;
    this.#ids = options.ids;
    this.#totals = options.totals;
    this.#timeoutMs = options.timeoutMs;
    this.#framer = new Framer(
      { what: 'recorded request', headerBytes, header: readHeader },
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

  /** What the live relay says. Throws MR_ERR_WIRE_* for what cannot be a reply. */
  live(bytes: Buffer): void {
    this.#liveReplies.push(bytes);
  }

  /** What the producer said: sends the requests that it completes. */
  async toServer(bytes: Buffer): Promise<void> {
    this.#framer.feed(bytes, 0, bytes.length);
    const ready = this.#ready;
    this.#ready = [];
    if (ready.length > 0) await this.#open.send(ready);
  }

  /** What the recorded relay said: waits until the live one has said as much, and compares. */
  async fromServer(bytes: Buffer): Promise<void> {
    this.#recordedReplies.push(bytes);
    const due = this.#due;
    this.#due = [];
    for (const { exchange, recorded } of due) await this.#settle(exchange, recorded);
  }

  get #open(): LiveSocket {
    return this.#socket as LiveSocket;
  }

  #request(code: number, payload: Buffer): void {
    const row = relayCommands.get(code);
    const bytes = Buffer.concat([
      requestHeader.encode({
        circuitId: 0n,
        dataSizeBytes: BigInt(payload.length),
        command: code,
        commandVersion: 0,
      }),
      payload,
    ]);
    const name = row?.since === undefined ? undefined : row.name;
    const request = name && requestLayout(name, this.#minor, payload.length);
    if (request !== undefined) this.#ids.rewrite(request, bytes.subarray(headerBytes));
    this.#totals.requests += 1;
    this.#ready.push(bytes);
    const layout = replyLayoutOf(name, this.#minor);
    if (layout === undefined) return;
    const exchange = {
      command: name ?? `command ${code}`,
      bytes,
      layout,
      minor: this.#minor,
      live: this.#expectLive(layout),
    };
    this.#recordedReplies.expect(layout, (recorded) => {
      this.#due.push({ exchange, recorded });
      if (name === 'version') this.#minor = negotiated(bytes, recorded);
    });
  }

  #expectLive(layout: Struct<object>): Promise<Reply> {
    return new Promise((resolve) => {
      this.#liveReplies.expect(layout, resolve);
    });
  }

  async #settle(exchange: Exchange, recorded: Reply): Promise<void> {
    const { command } = exchange;
    const giveUpAtMs = performance.now() + this.#timeoutMs;
    let live = await this.#open.within(exchange.live, this.#mismatch(command, 'never', shown(recorded)));
    while (isPending(command, live) && !isPending(command, recorded) && performance.now() < giveUpAtMs) {
      await delay(pollMs);
      this.#totals.askedAgain += 1;
      const again = this.#expectLive(exchange.layout);
      await this.#open.send([exchange.bytes]);
      live = await this.#open.within(again, this.#mismatch(command, 'never', shown(recorded)));
    }
    this.#totals.replies += 1;
    this.#compare(exchange, recorded, live);
    this.#ids.learn(exchange.layout, recorded, live);
    if (command !== 'createSession') return;
    const { outputPath: path } = live;
    const { outputPath: recordedPath } = recorded;
    if (path !== undefined && recordedPath !== undefined) this.#totals.sessions.push({ recordedPath, path });
  }

  #compare({ command, bytes }: Exchange, recorded: Reply, live: Reply): void {
    // a relay may be through sooner than the recorded one
    const sooner = isPending(command, recorded) && !isPending(command, live);
    if (live.ret !== recorded.ret && !(sooner && live.ret === 0))
      throw this.#mismatch(command, shown(live), shown(recorded));
    if (live.exists === true && recorded.exists === false)
      throw this.#mismatch(command, shown(live), shown(recorded));
    if (command !== 'version') return;
    const [minor, expected] = [negotiated(bytes, live), negotiated(bytes, recorded)];
    if (minor !== expected || live.major !== recorded.major)
      throw this.#mismatch('negotiated version', `${live.major}.${minor}`, `${recorded.major}.${expected}`);
  }

  #mismatch(what: string, got: string, expected: string): MillraceError {
    return new MillraceError('MR_ERR_CAPTURE_MISMATCH', { path: this.#path, what, got, expected });
  }
}

/** Answers that say "not yet": a producer asks again until it hears the other one. */
function isPending(command: string, reply: Reply): boolean {
  if (command === 'dataPending' || command === 'endDataPending') return reply.ret === 1;
  return command === 'traceChunkExists' && reply.exists === true;
}

/** Both sides go on with the smaller minor. Source: relay-protocol, "Versions". */
function negotiated(request: Buffer, reply: Reply): number {
  return Math.min(request.readUInt32BE(headerBytes + 4), reply.minor ?? 0);
}

function replyLayoutOf(name: CommandName | undefined, minor: number): Struct<object> | undefined {
  // unknown and reserved commands are answered with a return code alone
  return replyLayout(name ?? 'startData', minor);
}

function readHeader(bytes: Buffer, at: number): RequestHeader {
  const { command, dataSizeBytes } = requestHeader.decode(bytes, at, at + headerBytes);
  if (dataSizeBytes > BigInt(limits.controlPayloadBytes))
    throw new MillraceError('MR_ERR_WIRE_LONG', {
      what: 'recorded request',
      got: dataSizeBytes,
      expected: limits.controlPayloadBytes,
    });
  const size = Number(dataSizeBytes);
  return { command, bodyBytes: size, collectBytes: size };
}

function shown({ ret, exists, handle }: Reply): string {
  const parts = { ret, exists, handle };
  const said = Object.entries(parts).filter(([, value]) => value !== undefined);
  return said.map(([name, value]) => `${name} ${value}`).join(', ');
}
