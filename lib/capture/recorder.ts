/**
 * A proxy between clients and a server (producers or viewers and a relay, NBD clients and a disk server) that writes
 * down what both sides say. Each connection gets
 * a number in order of acceptance; every read becomes one record before it is passed on, so that in the log an
 * answer never stands before its question. Bytes go on as they came, at the pace of the slowest of reader, log
 * and writer; the end of one direction is passed on and the other stays open.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { LogWriter } from '../disk/log-writer.ts';
import { MillraceError, why } from '../errors.ts';
import type { Address } from '../network/address.ts';
import { dial } from '../network/dial.ts';
import { listen } from '../network/listen.ts';
import { listenPath } from '../network/listen-unix.ts';
import { tell } from '../telemetry.ts';
import { type ConnectionRole, type Direction, encodeUtterance, type Utterance } from './conversation.ts';

/** One port of the server: where the recorder stands in for it (port 0: any), and where it really is. */
export interface RecordedPort {
  role: ConnectionRole;
  listen: Address;
  server: Address;
}

/**
 * Records every connection to the given ports into the log that `openLog` opens: once, when it listens, so that nothing
 * is made where it cannot. It does not end the log.
 */
export class Recorder {
  readonly #ports: readonly RecordedPort[];
  readonly #openLog: () => LogWriter;
  #opened: LogWriter | undefined;
  readonly #listeners: Array<{ address: Address; close(): Promise<void> }> = [];
  readonly #conversations = new Map<number, { cut: AbortController; done: Promise<void> }>();
  #connections = 0;
  #bytes = 0;

  constructor(options: { ports: readonly RecordedPort[]; openLog: () => LogWriter }) {
    this.#ports = options.ports;
    this.#openLog = options.openLog;
  }

  /** The log, opened now if it is not yet. */
  get log(): LogWriter {
    // without its log a recorder is of no use: what is being recorded ends with it
    this.#opened ??= this.#openLog()
      .on('error', ignore)
      .once('close', () => this.#cut());
    return this.#opened;
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Bytes that were passed on, in both directions. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#conversations.size;
  }

  /** Resolves to the addresses listened on, in the order of the ports. Rejects MR_ERR_NETWORK_LISTEN. */
  async start(): Promise<Address[]> {
    try {
      for (const port of this.#ports) {
        const accept = (socket: Socket) => this.#accept(socket, port);
        const { listen: at } = port;
        this.#listeners.push(
          at.path === undefined
            ? await listen(at, accept, { allowHalfOpen: true })
            : await listenPath(at.path, accept, { allowHalfOpen: true }),
        );
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    void this.log;
    return this.#listeners.map(({ address }) => address);
  }

  /** Resolves when no connection is open; the recorder goes on listening. */
  async idle(): Promise<void> {
    while (this.#conversations.size > 0)
      await Promise.all([...this.#conversations.values()].map(({ done }) => done));
  }

  /** Stops listening, waits `deadlineMs` at the most for what is open to end, and closes. */
  async finish(deadlineMs: number): Promise<void> {
    const closed = this.#listeners.splice(0).map((listener) => listener.close());
    const timer = setTimeout(() => this.#cut(), deadlineMs);
    await Promise.all([...closed, this.idle()]);
    clearTimeout(timer);
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

  #accept(client: Socket, port: RecordedPort): void {
    const connection = this.#connections;
    this.#connections += 1;
    const cut = new AbortController();
    const done = this.#converse(connection, port, client, cut).finally(() =>
      this.#conversations.delete(connection),
    );
    this.#conversations.set(connection, { cut, done });
  }

  async #converse(
    connection: number,
    { role, server: address }: RecordedPort,
    client: Socket,
    cut: AbortController,
  ): Promise<void> {
    const { signal } = cut;
    const peer =
      client.remoteAddress === undefined ? 'local' : `${client.remoteAddress}:${client.remotePort}`;
    // what goes wrong with a socket shows where it is read or written; this keeps it from being fatal
    client.on('error', ignore);
    signal.addEventListener('abort', () => client.destroy());
    const text = `recording ${role} connection ${connection} of ${peer}`;
    tell('info', 'capture:connection', text, { connection, role, peer });
    try {
      await this.#write({ kind: 'connectionOpen', connection, role, peer }, signal);
      const server = await dial(address, { signal, allowHalfOpen: true });
      server.on('error', ignore);
      signal.addEventListener('abort', () => server.destroy());
      const pass = (direction: Direction, from: Socket, to: Socket) =>
        this.#pass(connection, direction, from, to, signal).catch(() => cut.abort());
      await Promise.all([pass('toServer', client, server), pass('fromServer', server, client)]);
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
        this.#bytes += bytes.length;
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
    if (this.log.destroyed) throw this.log.errored ?? new Error('the log was closed');
    if (!this.log.write(encodeUtterance(said)) && signal) await once(this.log, 'drain', { signal });
  }
}

function ignore(): void {}
