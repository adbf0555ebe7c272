/**
 * An NBD server: listeners, who may connect, and the connections there are. It opens no image and decides no
 * migration: who does both asks it to shut clients out, and to let them in again.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type Address, addressText } from '../../network/address.ts';
import { type ListenAddress, type Listener, listenAt } from '../../network/listen.ts';
import { setKeepAlive } from '../../os/socket-options.ts';
import { SlabPool } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import { AccessList } from '../acl.ts';
import type { Export } from '../export.ts';
import { Connection, type SessionEnd } from './connection.ts';
import { ExportTable } from './export-table.ts';
import type { Extension } from './extension.ts';
import type { Offer } from './haggle.ts';
import { piecePool } from './pieces.ts';
import { type NbdServerStatus, statusOf } from './status.ts';
import { ServerTls, type ServerTlsOptions } from './tls.ts';

/** What to serve, where, and to whom. */
export interface NbdServerOptions {
  listen: readonly ListenAddress[];
  exports: readonly Export[];
  style?: 'newstyle' | 'oldstyle';
  access?: AccessList;
  /** In oldstyle, which has no STARTTLS, from the first byte on: only a millrace source speaks that. */
  tls?: ServerTlsOptions;
  /** Clients at a time; one more is closed at once. Asked for each where it is a function. */
  maxClients?: number | (() => number);
  extension?: Extension;
  /** Every change is durable before its reply. Unless told: in oldstyle, whose clients may not know FLUSH (L23). */
  durable?: boolean;
  /** A request that takes longer costs the client its connection; undefined: never. */
  killswitchMs?: number;
  /** Called when a connection has ended and nothing of it is at work. */
  onSessionEnd?: (end: SessionEnd) => void;
}

/** Silence before probes, between them, and how many. Source: nbd-migration, A.6, L27. */
const keepAlive = { enabled: true, idleTimeS: 30, probeIntervalS: 10, maxProbeCount: 3 };
const bindRetryMs = 1000;

/** See the file's head. */
export class NbdServer {
  readonly #options: NbdServerOptions;
  readonly #connections = new Set<Connection>();
  readonly #slabs = new SlabPool({ slabs: 16 });
  readonly #pieces = piecePool();
  readonly #scratch = Buffer.allocUnsafeSlow(limits.scratchBytes);
  readonly #tls: ServerTls | undefined;
  readonly #durable: boolean;
  readonly #offer: Offer;
  readonly #exports: ExportTable;
  #listeners: Listener<Address>[] = [];
  #access: AccessList;
  #admits = true;
  #isStopping = false;
  #watch: NodeJS.Timeout | undefined;
  /** Who waits for connections to end. */
  #waiting: (() => void)[] = [];

  constructor(options: NbdServerOptions) {
    this.#options = options;
    this.#access = options.access ?? new AccessList();
    this.#tls = options.tls === undefined ? undefined : new ServerTls(options.tls);
    this.#durable = options.durable ?? options.style === 'oldstyle';
    this.#exports = new ExportTable(options.exports);
    this.#offer = {
      exports: this.#exports,
      tls: this.#tls,
      isStopping: () => this.#isStopping || !this.#admits,
    };
  }

  /**
   * Listens. An address that this host does not have yet is tried again once a second until `signal`, another failure
   * rejects (MR_ERR_NETWORK_LISTEN): somebody else on the address would get our clients. Source: nbd-migration, D.8.
   */
  async start({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    try {
      for (const address of this.#options.listen)
        this.#listeners.push(await listenPatiently(address, (socket) => this.#accept(socket), signal));
    } catch (error) {
      for (const listener of this.#listeners) listener.stop();
      throw error;
    }
    const { killswitchMs } = this.#options;
    if (killswitchMs === undefined) return;
    this.#watch = setInterval(() => this.#cutSlow(killswitchMs), Math.min(1000, killswitchMs / 4)).unref();
  }

  /** Where it listens. */
  get addresses(): readonly Address[] {
    return this.#listeners.map(({ address }) => address);
  }

  get exports(): readonly Export[] {
    return this.#exports.all;
  }

  /** Connections alive now. */
  get clients(): number {
    return this.#connections.size;
  }

  /** False: who connects is closed at once. */
  get admits(): boolean {
    return this.#admits;
  }

  get access(): AccessList {
    return this.#access;
  }

  /** Takes effect at once: who is no longer allowed is stopped between two requests. */
  set access(list: AccessList) {
    this.#access = list;
    for (const connection of this.#connections)
      if (!list.allows(this.#addresses.get(connection))) connection.stop();
  }
  readonly #addresses = new WeakMap<Connection, string | undefined>();

  /**
   * From now on nobody is let in, and who is in is let go after the requests that have begun. Resolves when all are
   * gone and the images are at rest; who is not gone within `patienceMs` is cut: its request was never acknowledged.
   * `only`: this export is shut, the others are served on. Source: nbd-migration, D.5, F.11.
   */
  async shutOut(patienceMs: number = limits.closeSeconds * 1000, only?: Export): Promise<void> {
    if (only === undefined) this.#admits = false;
    else this.#exports.withhold(only);
    const inside = (): Connection[] =>
      [...this.#connections].filter(({ agreement }) => only === undefined || agreement?.served === only);
    for (const connection of inside()) connection.stop();
    const timer = setTimeout(() => {
      for (const connection of inside()) connection.cut(killed(connection.peer, patienceMs));
    }, patienceMs);
    while (inside().length > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    clearTimeout(timer);
    // who was cut may have left something at work
    const shut = only === undefined ? this.exports : [only];
    await Promise.all(shut.map(({ image }) => image.settle()));
  }

  /** Lets clients in again, where `only` one export was shut, to that. */
  admit(only?: Export): void {
    if (only === undefined) this.#admits = true;
    else this.#exports.offer(only);
  }

  /** Offers this export no more: its disk has gone. It must be shut. */
  drop(served: Export): void {
    this.#exports.drop(served);
  }

  /** Closes the listening sockets, and resolves when they are closed. */
  async stopListening(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    await nextTurn();
  }

  /** Listens again where it did before `stopListening`. Rejects as `start`. */
  async listenAgain(): Promise<void> {
    const before = this.#listeners.splice(0);
    for (const { address } of before)
      this.#listeners.push(await listenPatiently(address, (socket) => this.#accept(socket), undefined));
  }

  /** Ends orderly: nobody new, requests that have begun are answered. */
  async close(patienceMs?: number): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#watch);
    for (const listener of this.#listeners) listener.stop();
    await this.shutOut(patienceMs);
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  status(): NbdServerStatus {
    return statusOf(this, [...this.#connections]);
  }

  #accept(socket: Socket): void {
    const { remoteAddress: address } = socket;
    const peer = this.#nameOf(socket);
    const refusal = this.#refusal(address);
    if (refusal !== undefined) {
      tell('info', 'nbd:refused-client', `${peer} refused: ${refusal}`, { peer, reason: refusal });
      socket.on('error', () => undefined).destroy();
      return;
    }
    if (address !== undefined) setKeepAlive(socket, keepAlive);
    const connection = new Connection(
      socket,
      peer,
      {
        offer: this.#offer,
        style: this.#options.style ?? 'newstyle',
        durable: this.#durable,
        extension: this.#options.extension,
        slabs: this.#slabs,
        pieces: this.#pieces,
        scratch: this.#scratch,
      },
      (end) => {
        this.#connections.delete(connection);
        this.#options.onSessionEnd?.(end);
        for (const wake of this.#waiting.splice(0)) wake();
      },
    );
    this.#connections.add(connection);
    this.#addresses.set(connection, address);
  }

  /** Clients of a Unix socket have no address; they are numbered. */
  #nameOf({ remoteAddress: host, remotePort: port = 0 }: Socket): string {
    if (host !== undefined) return addressText({ host, port });
    this.#localClients += 1;
    return `local client ${this.#localClients}`;
  }
  #localClients = 0;

  #refusal(address: string | undefined): string | undefined {
    if (!this.#admits) return 'no clients are let in now';
    if (!this.#access.allows(address)) return 'not on the access list';
    const { maxClients = limits.nbdClients } = this.#options;
    const most = typeof maxClients === 'number' ? maxClients : maxClients();
    return this.#connections.size >= most ? `more than ${most} clients` : undefined;
  }

  #cutSlow(killswitchMs: number): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) {
      const { busySinceMs } = connection;
      if (busySinceMs !== undefined && nowMs - busySinceMs > killswitchMs)
        connection.cut(killed(connection.peer, killswitchMs));
    }
  }
}

function killed(peer: string, ms: number): MillraceError {
  return new MillraceError('MR_ERR_NBD_KILLED', { peer, seconds: ms / 1000 });
}

async function listenPatiently(
  address: ListenAddress,
  onConnection: (socket: Socket) => void,
  signal: AbortSignal | undefined,
): Promise<Listener<Address>> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await listenAt(address, onConnection);
    } catch (error) {
      const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
      if (code !== 'EADDRNOTAVAIL') throw error;
      if (tries === 0)
        tell('warn', 'nbd:address-missing', `${(error as Error).message}: tried again every second`);
      await delay(bindRetryMs, undefined, { signal });
    }
  }
}
