/**
 * The connections of producers, control and data. Those that belong to no session yet are strangers: their number has a
 * ceiling, and one that stays silent is ended.
 */
import type { Socket } from 'node:net';
import { MillraceError } from '../errors.ts';
import { loseVanished, setSendTimeout } from '../os/socket-options.ts';
import { tell } from '../telemetry.ts';
import { ControlConnection } from './control-connection.ts';
import { DataConnection } from './data-connection.ts';
import type { RelayState } from './state.ts';

type Connection = ControlConnection | DataConnection;

/** See the file's head. */
export class Producers {
  readonly #relay: RelayState;
  readonly #onGone: () => void;
  readonly #control = new Set<ControlConnection>();
  readonly #data = new Set<DataConnection>();
  /** Those of both that belong to no session yet. */
  readonly #strangers = new Set<Connection>();

  /** `onGone`: a connection has ended. */
  constructor(relay: RelayState, onGone: () => void) {
    this.#relay = relay;
    this.#onGone = onGone;
  }

  get control(): number {
    return this.#control.size;
  }

  get data(): number {
    return this.#data.size;
  }

  get strangers(): number {
    return this.#strangers.size;
  }

  get size(): number {
    return this.#control.size + this.#data.size;
  }

  /** Takes a connection, or refuses it when too many say nothing of themselves. */
  accept(socket: Socket, role: 'control' | 'data'): void {
    const state = this.#relay;
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
    const { keepAlive, socketTimeoutMs } = state.options;
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
    tell('debug', 'relay:connection', `${role} connection from ${peer}`, { peer, role });
  }

  #gone(connection: Connection): void {
    this.#strangers.delete(connection);
    if (connection instanceof ControlConnection) this.#control.delete(connection);
    else this.#data.delete(connection);
    this.#onGone();
  }

  /** Ends all of them now. */
  destroy(): void {
    for (const connection of [...this.#control, ...this.#data]) connection.destroy();
  }

  /**
   * Ends connections that belong to no session and have been silent too long. A data connection says nothing
   * before its first packet, perhaps for days: it stays as long as its host has a session that waits for one.
   */
  sweep(): void {
    const { limits, sessions } = this.#relay;
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
