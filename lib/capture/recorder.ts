/**
 * A proxy between producers (or viewers) and a relay that writes down what both sides say. Each connection gets
 * a number in order of acceptance; every read becomes one record before it is passed on, so that in the log an
 * answer never stands before its question. Bytes go on as they came, at the pace of the slowest of reader, log
 * and writer; the end of one direction is passed on and the other stays open.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { LogWriter } from '../disk/log-writer.ts';
import { MillraceError, why } from '../errors.ts';
import { dial } from '../network/dial.ts';
import { type Listener, listen } from '../network/listen.ts';
import { tell } from '../telemetry.ts';
import { type ConnectionRole, type Direction, encodeUtterance, type Utterance } from './conversation.ts';

/** A TCP address. `port` 0, for listening: chosen by the system. */
export interface TcpAddress {
  host: string;
  port: number;
}

/** One port of the relay: where the recorder stands in for it, and where it really is. */
export interface RecordedPort {
  role: ConnectionRole;
  listen: TcpAddress;
  relay: TcpAddress;
}

/** Records every connection to the given ports into `log`, which it does not end. */
export class Recorder {
  readonly #ports: readonly RecordedPort[];
  readonly #log: LogWriter;
  readonly #listeners: Listener[] = [];
  readonly #conversations = new Map<number, { cut: AbortController; done: Promise<void> }>();
  #connections = 0;

  constructor(options: { ports: readonly RecordedPort[]; log: LogWriter }) {
    this.#ports = options.ports;
    this.#log = options.log;
    // without its log a recorder is of no use: what is being recorded ends with it
    this.#log.once('close', () => this.#cut());
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#conversations.size;
  }

  /** Resolves to the addresses listened on, in the order of the ports. Rejects MR_ERR_NETWORK_LISTEN. */
  async start(): Promise<TcpAddress[]> {
    try {
      for (const port of this.#ports) {
        const accept = (socket: Socket) => this.#accept(socket, port);
        this.#listeners.push(await listen(port.listen, accept, { allowHalfOpen: true }));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    return this.#listeners.map(({ address }) => address);
  }

  /** Resolves when no connection is open; the recorder goes on listening. */
  async idle(): Promise<void> {
    while (this.#conversations.size > 0)
      await Promise.all([...this.#conversations.values()].map(({ done }) => done));
  }

  /** Stops listening, cuts what is still open, resolves when the last record was handed to the log. */
  async close(): Promise<void> {
    const closed = this.#listeners.splice(0).map((listener) => listener.close());
    this.#cut();
    await Promise.all([...closed, this.idle()]);
  }

  #cut(): void {
    for (const { cut } of this.#conversations.values()) cut.abort();
  }

  #accept(producer: Socket, port: RecordedPort): void {
    const connection = this.#connections;
    this.#connections += 1;
    const cut = new AbortController();
    const done = this.#converse(connection, port, producer, cut).finally(() =>
      this.#conversations.delete(connection),
    );
    this.#conversations.set(connection, { cut, done });
  }

  async #converse(
    connection: number,
    { role, relay: address }: RecordedPort,
    producer: Socket,
    cut: AbortController,
  ): Promise<void> {
    const { signal } = cut;
    const peer = `${producer.remoteAddress}:${producer.remotePort}`;
    // what goes wrong with a socket shows where it is read or written; this keeps it from being fatal
    producer.on('error', ignore);
    signal.addEventListener('abort', () => producer.destroy());
    const text = `recording ${role} connection ${connection} of ${peer}`;
    tell('info', 'capture:connection', text, { connection, role, peer });
    try {
      await this.#write({ kind: 'connectionOpen', connection, role, peer }, signal);
      const relay = await dial(address, { signal, allowHalfOpen: true });
      relay.on('error', ignore);
      signal.addEventListener('abort', () => relay.destroy());
      const pass = (direction: Direction, from: Socket, to: Socket) =>
        this.#pass(connection, direction, from, to, signal).catch(() => cut.abort());
      await Promise.all([pass('toRelay', producer, relay), pass('fromRelay', relay, producer)]);
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : undefined;
      if (!signal.aborted)
        tell('error', 'capture:connection', `connection ${connection}: ${why(error)}`, { connection }, code);
    }
    cut.abort();
  }

  /** Passes one direction on until its end, which is recorded too. Rejects when it was cut. */
  async #pass(
    connection: number,
    direction: Direction,
    from: Socket,
    to: Socket,
    signal: AbortSignal,
  ): Promise<void> {
    let outcome: 'end' | 'abort' = 'abort';
    try {
      // destroyOnReturn: the end of this direction must not close the other
      for await (const bytes of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        await this.#write({ kind: 'bytes', connection, direction, bytes }, signal);
        if (!to.write(bytes)) await once(to, 'drain', { signal });
      }
      if (from.readableEnded) outcome = 'end';
    } finally {
      await this.#write({ kind: 'connectionEnd', connection, direction, outcome });
    }
    to.end();
    if (!to.writableFinished) await once(to, 'finish', { signal });
  }

  /** Hands a record to the log and, unless all is over, waits until it takes more. */
  async #write(said: Utterance, signal?: AbortSignal): Promise<void> {
    if (this.#log.destroyed) throw this.#log.errored ?? new Error('the log was closed');
    if (!this.#log.write(encodeUtterance(said)) && signal) await once(this.#log, 'drain', { signal });
  }
}

function ignore(): void {}
