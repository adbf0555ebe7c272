/**
 * A viewer's connection: socket, framer, commands, and back to the socket. Requests are answered in order, one after
 * the other; an answer that brings no news may be held back for a while (`idle-pace.ts`), and nothing more is read
 * from a viewer that has not taken its replies.
 */
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { MillraceError, relayRet } from '../../errors.ts';
import { socketSource } from '../../network/socket-source.ts';
import { compose, type Outcome, type Pipe } from '../../stage/compose.ts';
import { stageError } from '../../stage/stage.ts';
import { tell } from '../../telemetry.ts';
import {
  unknownCommand,
  type ViewerCommand,
  type ViewerCommandName,
  viewerReplyLayout,
  viewerRequestLayout,
} from '../../wire/live/index.ts';
import { type RequestBatch, type RequestPart, requestStage } from '../requests.ts';
import type { RelayState } from '../state.ts';
import type { Answer, ViewerContext, ViewerHandler } from './commands/handler.ts';
import { viewerHandlers } from './commands/index.ts';
import { IdlePace, type Topic } from './idle-pace.ts';
import type { ViewedSession } from './viewed-session.ts';
import type { ViewedStream } from './viewed-stream.ts';
import { type ViewerHeader, viewerFormat } from './viewer-format.ts';
import { ViewerReplies } from './viewer-replies.ts';
import type { Viewers } from './viewers.ts';

/** How long a refused viewer may take to fetch its refusal. */
const lingerMs = 1000;

type AnyAnswer = Answer<ViewerCommandName>;

/** See the file's head. `ended`: called once, when the connection is gone. */
export class ViewerConnection implements ViewerContext {
  readonly relay: RelayState;
  readonly viewers: Viewers;
  readonly peer: string;
  readonly openedMs = Date.now();
  readonly streams = new Map<number, ViewedStream>();
  readonly totals = { packets: 0, bytes: 0 };
  minor = 0;
  isMillrace = false;
  isConnected = false;
  attached: Map<number, ViewedSession> | undefined;
  readonly #socket: Socket;
  readonly #replies: ViewerReplies;
  readonly #pace: IdlePace;
  readonly #pipe: Pipe;
  /** A read from the disk for an answer; it moves the viewer's place. */
  #reading: Promise<unknown> | undefined;
  /** Refused: what still comes is not looked at. */
  #deaf = false;
  #gone = false;

  constructor(viewers: Viewers, accepted: Socket, ended: (connection: ViewerConnection) => void) {
    this.viewers = viewers;
    this.relay = viewers.relay;
    this.peer = `${accepted.remoteAddress ?? ''}:${accepted.remotePort ?? 0}`;
    const { pool } = viewers;
    const { scratch, limits } = this.relay;
    this.#pace = new IdlePace(limits.idleAnswerMs, limits.idleLingerMs);
    const source = socketSource(accepted, { pool, quota: pool.quota(1), scratch, name: this.peer });
    this.#socket = source.socket;
    // nobody is there to be answered, though requests may be left, or an answer put off
    this.#socket.once('end', () => this.#leave());
    this.#replies = new ViewerReplies(source.socket, limits.viewerPieceBytes);
    this.#pipe = compose(
      [
        { name: 'viewer source', stream: source },
        { name: 'requests', stream: requestStage(viewerFormat) },
        { name: 'viewer', stream: this.#commands() },
      ],
      (outcome) => {
        this.#ended(outcome);
        ended(this);
      },
    );
  }

  /** Milliseconds that it has had something to take and did not. */
  get stalledMs(): number {
    return this.#replies.stalledMs;
  }

  /** Bytes that it was sent and has not taken. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Ends the connection now; `cause`: why, for the log. */
  destroy(cause?: MillraceError): void {
    this.#pipe.abort(cause);
  }

  /** The viewer has come back on another connection. */
  replaced(): void {
    this.#giveUp();
    this.#pipe.abort();
  }

  news(topic: Topic | undefined): void {
    this.#pace.news(topic);
  }

  #leave(): void {
    this.#gone = true;
    this.#pace.cancel();
    this.#replies.close();
  }

  #commands(): Writable {
    return new Writable({
      objectMode: true,
      // with 1 every write counts as full, and each batch waits a tick
      highWaterMark: 2,
      write: (batch: RequestBatch<ViewerHeader>, _encoding, callback) => {
        const served = (error?: unknown) => {
          batch.slab.release();
          if (error === undefined && this.#deaf) this.#hangUp();
          callback(error === undefined ? null : stageError('viewer', error));
        };
        try {
          const later = this.#serve(batch.requests);
          if (later === undefined) served();
          else later.then(() => served(), served);
        } catch (error) {
          served(error);
        }
      },
      final: (callback) => {
        this.#socket.end();
        callback();
      },
      destroy: (error, callback) => {
        this.#leave();
        this.#socket.destroy();
        callback(error);
      },
    });
  }

  /** Answers requests, in this tick as far as nothing has to be waited for; the rest is promised. */
  #serve(requests: readonly RequestPart<ViewerHeader>[]): Promise<void> | undefined {
    for (const [at, request] of requests.entries()) {
      if (this.#deaf || this.#gone) break;
      const later = this.#request(request);
      if (later !== undefined) return later.then(() => this.#serve(requests.slice(at + 1)));
    }
    return this.#replies.flush();
  }

  /** Promised if the answer has to wait. */
  #request({ header, bytes, start, end }: RequestPart<ViewerHeader>): Promise<void> | undefined {
    const { command, code } = header;
    const refused = (error: unknown): void => {
      if (!(error instanceof MillraceError)) throw error;
      this.#refused(error, command?.name ?? `${code}`);
    };
    try {
      if (!this.#mayAsk(command)) {
        this.#replies.add(unknownCommand, { code: relayRet.unknown });
        throw new MillraceError('MR_ERR_RELAY_COMMAND', { command: code });
      }
      const { name } = command;
      if (command.needs === 'connect' && !this.isConnected)
        throw new MillraceError('MR_ERR_RELAY_STATE', { command: name, expected: 'CONNECT before it' });
      const request = viewerRequestLayout(name, this.minor).decode(bytes, start, end);
      return this.#answer(name, request)?.catch(refused);
    } catch (error) {
      refused(error);
      return undefined;
    }
  }

  /** Private commands are for those who know each other. */
  #mayAsk(command: ViewerCommand | undefined): command is ViewerCommand {
    return command !== undefined && (command.since !== 'millrace' || this.isMillrace);
  }

  #answer(name: ViewerCommandName, request: object): Promise<void> | undefined {
    const handler = viewerHandlers[name] as ViewerHandler<ViewerCommandName>;
    const handled = handler.handle(this, request as never);
    if (!(handled instanceof Promise)) return this.#give(name, request, handled);
    this.#reading = handled;
    return handled
      .finally(() => {
        this.#reading = undefined;
      })
      .then((answer) => this.#give(name, request, answer));
  }

  /** Gives an answer now, or what is the answer later if this one brings no news. */
  #give(name: ViewerCommandName, request: object, answer: AnyAnswer): Promise<void> | undefined {
    if (this.#gone) return undefined;
    const { reply, payload, ahead, topic, idle = false, lingers = false } = answer;
    if (topic !== undefined) {
      if (idle && lingers) this.#pace.linger(topic);
      if (idle && this.#pace.delayMs(topic) > 0) return this.#askAgain(name, request, topic);
      this.#pace.answered(topic, idle);
    }
    const layout = viewerReplyLayout(name, this.minor);
    let later: Promise<void> | undefined;
    if (payload === undefined) this.#replies.add(layout, reply as never);
    else {
      this.totals.bytes += payload.bytes;
      later = this.#replies.send(layout, reply as never, payload);
    }
    if (ahead !== undefined) this.#replies.expect(ahead);
    return later;
  }

  /** When there is news, or the time is over. What was asked before it is answered now. */
  async #askAgain(name: ViewerCommandName, request: object, topic: Topic): Promise<void> {
    await this.#replies.flush();
    if (!this.#gone) await this.#pace.wait(topic);
    if (!this.#gone) await this.#answer(name, request);
  }

  #refused(error: MillraceError, command: string): void {
    this.#deaf = true;
    const { code, message, facts } = error;
    const { refused } = this.relay;
    refused[code] = (refused[code] ?? 0) + 1;
    tell(
      'warn',
      'relay:refused',
      `${this.peer} ${command}: ${message}`,
      { ...facts, peer: this.peer, command },
      code,
    );
  }

  /** Sends what is to be sent, then closes; reads on meanwhile, for unread bytes would destroy the refusal. */
  #hangUp(): void {
    if (this.#socket.writableEnded) return;
    this.#socket.end();
    setTimeout(() => this.#pipe.abort(), lingerMs).unref();
  }

  #ended(outcome: Outcome): void {
    this.#giveUp();
    if (outcome.kind === 'error' && outcome.error.code !== 'MR_ERR_NETWORK_LOST')
      this.#refused(outcome.error, 'connection');
  }
  /** Whatever it was attached to. */
  #giveUp(): void {
    this.#leave();
    if (this.#reading !== undefined) {
      const again = () => setImmediate(() => this.#giveUp());
      this.#reading.then(again, again);
      return;
    }
    const { attached, peer } = this;
    this.attached = undefined;
    for (const viewed of attached?.values() ?? []) this.viewers.left(viewed, peer);
  }
}
