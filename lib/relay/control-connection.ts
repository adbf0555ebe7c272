/**
 * A producer's control connection: socket, framer, commands, socket. Requests are answered in order, in the tick
 * in which they were read, and the replies of one read leave in one write. A bad request gets its refusal, if
 * it has one, and ends this connection alone.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Resumable } from '../disk/stored-session.ts';
import { MillraceError, relayRet } from '../errors.ts';
import { socketSource } from '../network/socket-source.ts';
import { awake } from '../os/awake.ts';
import { sendNow } from '../os/send-now.ts';
import { quickAck } from '../os/socket-options.ts';
import { compose, type Outcome, type Pipe } from '../stage/compose.ts';
import type { SlabQuota } from '../stage/slab.ts';
import { objectStage } from '../stage/stage.ts';
import { tell } from '../telemetry.ts';
import { type CommandName, encodeReply, encodeReturn, requestLayout } from '../wire/relay/index.ts';
import type { CommandContext, Handler, SessionContext } from './commands/handler.ts';
import { handlers } from './commands/index.ts';
import { MetadataCommand } from './commands/send-metadata.ts';
import { controlFormat, type RequestHeader, type SentCommand } from './control-format.ts';
import { type RequestBatch as Batch, type RequestPart as Part, requestStage } from './requests.ts';
import type { ConnectionEvents, RelaySession } from './session.ts';
import type { RelayState } from './state.ts';

type RequestBatch = Batch<RequestHeader>;
type RequestPart = Part<RequestHeader>;
type AnyHandler = Handler<CommandName, CommandContext>;

function handlerOf(name: CommandName): AnyHandler {
  return (handlers as unknown as Record<CommandName, AnyHandler>)[name];
}

/** How long a refused peer may take to fetch its refusal. */
const lingerMs = 1000;
/** More replies than this at once are those of a producer that does not wait for them. */
const repliesBytes = 1024;

/** See the file's head. */
export class ControlConnection implements CommandContext {
  readonly relay: RelayState;
  readonly peer: string;
  readonly address: string;
  readonly openedMs = Date.now();
  minor = 0;
  route: string | undefined;
  resumable: Resumable | undefined;
  readonly #events: ConnectionEvents<ControlConnection>;
  #session: RelaySession | undefined;
  readonly #quota: SlabQuota;
  readonly #socket: Socket;
  readonly #pipe: Pipe;
  /** Where replies lie that are sent at once. */
  readonly #replies = Buffer.allocUnsafeSlow(repliesBytes);
  #metadata: MetadataCommand | undefined;
  /** Refused: what still comes is not looked at. */
  #deaf = false;
  #refusal: MillraceError | undefined;
  bytesRead = 0;

  constructor(relay: RelayState, accepted: Socket, events: ConnectionEvents<ControlConnection>) {
    this.relay = relay;
    this.#events = events;
    this.address = accepted.remoteAddress ?? '';
    this.peer = `${this.address}:${accepted.remotePort ?? 0}`;
    this.#quota = relay.pool.quota(relay.limits.slabsPerSession);
    const { pool, scratch } = relay;
    const source = socketSource(accepted, { pool, quota: this.#quota, scratch, name: this.peer });
    this.#socket = source.socket;
    // LTTng sends metadata in three pieces under Nagle: each would wait for a delayed acknowledgement of the one before.
    const split = () => quickAck(source.socket);
    this.#pipe = compose(
      [
        { name: 'control source', stream: source },
        { name: 'requests', stream: requestStage(controlFormat, split) },
        { name: 'commands', stream: this.#commands() },
        { name: 'control socket', stream: source.socket },
      ],
      (outcome) => {
        this.#ended(outcome);
        events.ended(this);
      },
    );
  }

  get session(): RelaySession | undefined {
    return this.#session;
  }

  set session(session: RelaySession | undefined) {
    this.#session = session;
    this.#events.joined(this);
  }

  /** Ends the connection now. */
  destroy(): void {
    this.#pipe.abort();
  }

  #commands(): Duplex {
    const stage = objectStage<RequestBatch, Buffer>('commands', {
      transform: ({ slab, requests }, push) => {
        const replies: Buffer[] = [];
        try {
          for (const request of requests) {
            if (this.#deaf) break;
            const reply = this.#request(request, slab);
            if (reply !== undefined) replies.push(reply);
          }
        } finally {
          // Replies first: who waits for one is served before the disk is.
          if (replies.length > 0) this.#send(replies, stage.readableLength === 0, push);
          this.relay.store.flush();
        }
        slab.release();
        if (this.#deaf) this.#hangUp();
      },
    });
    return stage;
  }

  /** What the kernel takes at once needs no way through streams; the rest, and what would overtake it, has that. */
  #send(replies: readonly Buffer[], nothingWaits: boolean, push: (bytes: Buffer) => void): void {
    const bytes = replies.length === 1 ? (replies[0] as Buffer) : Buffer.concat(replies);
    let sent = 0;
    if (nothingWaits && bytes.length <= repliesBytes) {
      bytes.copy(this.#replies);
      sent = sendNow(this.#socket, this.#replies, 0, bytes.length);
    }
    if (sent < bytes.length) push(bytes.subarray(sent));
    awake.answered();
  }

  /** One request, or a part of one. Returns its reply. Throws what closes the connection without a reply. */
  #request(request: RequestPart, slab: RequestBatch['slab']): Buffer | undefined {
    const { header } = request;
    const { command } = header;
    if (request.is === 'part') {
      this.#metadata?.part(slab, request.start, request.end, request.last);
      if (request.last) this.#metadata = undefined;
      return undefined;
    }
    if (command === undefined) return this.#unknown(header.code);
    try {
      if (command.needs !== 'nothing' && this.session === undefined)
        throw new MillraceError('MR_ERR_RELAY_STATE', { command: command.name, expected: 'a session' });
      if (command.needs === 'chunks' && this.minor < 11)
        throw new MillraceError('MR_ERR_RELAY_STATE', {
          command: command.name,
          expected: 'a producer of minor 11 or later',
        });
      if (command.name === 'sendMetadata') {
        this.#metadata = new MetadataCommand(this as SessionContext, request);
        return undefined;
      }
      return this.#answer(command, request);
    } catch (error) {
      return this.#refuse(command, error);
    }
  }

  #answer({ name }: SentCommand, { header, bytes, start, end }: RequestPart): Buffer | undefined {
    const layout = requestLayout(name, this.minor, header.bodyBytes);
    if (layout === undefined)
      throw new MillraceError('MR_ERR_WIRE_SHORT', {
        what: name,
        expected: 'another number of',
        got: header.bodyBytes,
      });
    const request = layout.decode(bytes, start, end);
    return encodeReply(name, this.minor, handlerOf(name).handle(this, request as never));
  }

  /** A number that no producer sends: refused, and the connection ends. */
  #unknown(code: number): Buffer {
    this.#refused(new MillraceError('MR_ERR_RELAY_COMMAND', { command: code }), `${code}`);
    return encodeReturn(relayRet.unknown);
  }

  #refuse({ name }: SentCommand, error: unknown): Buffer | undefined {
    if (!(error instanceof MillraceError)) throw error;
    this.#refused(error, name);
    const own = name === 'sendMetadata' ? undefined : handlerOf(name).refuse?.(error);
    const reply = own ?? (error.ret === undefined ? undefined : { ret: error.ret });
    return reply && encodeReply(name, this.minor, reply as never);
  }

  /** Tells of bad input once; unless it concerns one message only, nothing more is read. */
  #refused(error: MillraceError, command: string): void {
    const { code, message, scope } = error;
    this.relay.refused[code] = (this.relay.refused[code] ?? 0) + 1;
    tell(
      'warn',
      'relay:refused',
      `${this.peer} ${command}: ${message}`,
      { ...error.facts, peer: this.peer, command, session: this.session?.id },
      code,
    );
    if (scope === 'message') return;
    this.#deaf = true;
    this.#refusal = error;
  }

  /** Sends what is to be sent, then closes; reads on meanwhile, for unread bytes would destroy the refusal. */
  #hangUp(): void {
    if (this.#socket.writableEnded) return;
    this.#socket.end();
    setTimeout(() => this.#pipe.abort(), lingerMs).unref();
  }

  #ended(outcome: Outcome): void {
    if (outcome.kind === 'error' && outcome.error.code !== 'MR_ERR_NETWORK_LOST')
      this.#refused(outcome.error, 'connection');
    const { takers } = this.relay;
    if (this.resumable !== undefined && takers.get(this.resumable.token) === this)
      takers.delete(this.resumable.token);
    this.session?.controlEnded(this.#refusal !== undefined || outcome.kind !== 'end');
  }
}
