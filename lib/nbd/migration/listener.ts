/**
 * The destination of a migration: takes one sender's disk in, and knows when it is complete. Other programs' senders come
 * alone and begin anew each time; a millrace source says who it is (`lib/wire/nbd/peer.ts`), may open several connections,
 * and goes on where it was after its connections were lost, because nobody else has written here meanwhile.
 *
 * The image is marked incomplete from before the first connection until the hand-over: a file beside it says so.
 * Source: nbd-migration, D.5, D.6, F.1.
 */
import { rmSync, writeFileSync } from 'node:fs';
import type { Image } from '../../disk/image.ts';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Address } from '../../network/address.ts';
import type { ListenAddress } from '../../network/listen.ts';
import { tell } from '../../telemetry.ts';
import { peerNote, transmissionFlags } from '../../wire/nbd/index.ts';
import type { AccessList } from '../acl.ts';
import type { ExtendedSession, Extension } from '../server/extension.ts';
import { NbdServer } from '../server/server.ts';
import type { ServerTlsOptions } from '../server/tls.ts';
import { Coverage } from './coverage.ts';
import { Session } from './listener-session.ts';

export interface ListenerOptions {
  image: Image;
  listen: ListenAddress;
  access?: AccessList;
  /** Only a millrace source can be the sender then: TLS from the first byte on. */
  tls?: ServerTlsOptions;
  /** Take any DISC for the end, as flexnbd does; otherwise all of the disk must have been written before it. */
  anyDisconnect?: boolean;
  /** Where the disk will be served, for the source's log. */
  servedAt?: string;
  /** Be no more than flexnbd is. */
  plain?: boolean;
  /** Connections of one millrace source. */
  connections?: number;
}

/** What came. */
export interface Received {
  peer: string;
  bytes: number;
}

/** How long a connection beside those of a mirror may take to join it. */
const joinMs = 5000;

/** The file that says that an image is not whole. */
export const incompletePath = (imagePath: string): string => `${imagePath}.INCOMPLETE`;

/** See the file's head. */
export class MigrationListener implements Extension {
  readonly #options: ListenerOptions;
  readonly #server: NbdServer;
  readonly #coverage = new Coverage();
  readonly #sessions = new Set<Session>();
  readonly #connections: number;
  #forget: () => void = () => undefined;
  /** The mirror that alone has written the image since the coverage was begun; 0: not a millrace. */
  owner = 0;
  attempt = 0;
  /** The session that writes is a plain one that has not written yet. */
  #isNew = false;
  #hasControl = false;
  #settle: { resolve(received: Received): void; reject(error: unknown): void } | undefined;
  /** Resolves when the disk is this side's; rejects when it came and cannot be kept. */
  readonly completed = new Promise<Received>((resolve, reject) => {
    this.#settle = { resolve, reject };
  });

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#connections = options.connections ?? limits.mirrorConnections;
    this.completed.catch(() => undefined);
    this.#server = new NbdServer({
      listen: [options.listen],
      exports: [{ name: '', image: options.image }],
      style: 'oldstyle',
      ...(options.access === undefined ? {} : { access: options.access }),
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      maxClients: () => this.#most(),
      extension: this,
    });
  }

  /** Marks the image and listens; see `NbdServer.start`. Rejects also with MR_ERR_DISK_CREATE. */
  async start(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { image } = this.#options;
    const path = incompletePath(image.path);
    try {
      writeFileSync(path, `waits for a migration since ${new Date().toISOString()}\n`);
    } catch (cause) {
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(cause) }, { cause });
    }
    this.#forget = image.onWrite((offset, length) => this.#written(offset, length));
    await this.#server.start(options);
  }

  get address(): Address | undefined {
    return this.#server.addresses[0];
  }

  get server(): NbdServer {
    return this.#server;
  }

  get hasControl(): boolean {
    return this.#hasControl;
  }

  /** Bytes of the disk that have come. */
  get receivedBytes(): number {
    return this.#coverage.bytes;
  }

  /** Lets nobody in any more and ends who is in. The image stays open, and marked unless it is complete. */
  async close(patienceMs?: number): Promise<void> {
    await this.#server.close(patienceMs);
    this.#forget();
  }

  hello(): { flags: number; reserved: Buffer } {
    if (this.#options.plain === true) return { flags: 0, reserved: Buffer.alloc(0) };
    const reserved = peerNote.encode({ connections: this.#connections, owner: BigInt(this.owner) });
    return { flags: transmissionFlags.sendWriteZeroes, reserved };
  }

  open(peer: string, cut: () => void): ExtendedSession {
    const isBeside = [...this.#sessions].some(({ isJoined }) => isJoined);
    const session = new Session(this, peer, cut, isBeside ? joinMs : undefined);
    this.#sessions.add(session);
    return session;
  }

  get image(): Image {
    return this.#options.image;
  }

  get servedAt(): string {
    return this.#options.servedAt ?? '';
  }

  get isPlain(): boolean {
    return this.#options.plain === true;
  }

  /** Whether a session that has not joined may do anything but that: not beside others. */
  isAlone(session: Session): boolean {
    return [...this.#sessions].every((other) => other === session);
  }

  /** A session begins as flexnbd's do: what was written before it does not count. */
  begins(): void {
    this.#isNew = true;
  }

  /** False: another mirror is at work, or a later attempt of this one. */
  async join(session: Session, mirror: number, attempt: number): Promise<boolean> {
    const others = [...this.#sessions].filter((other) => other !== session && other.isJoined);
    if (others.length > 0 && (mirror !== this.owner || attempt < this.attempt)) return false;
    if (attempt > this.attempt || mirror !== this.owner) {
      this.attempt = attempt;
      for (const other of others) other.cut();
      // nothing of an earlier connection may arrive behind what comes now
      while (others.some((other) => this.#sessions.has(other)))
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      await this.image.settle();
      if (this.attempt !== attempt) return false;
    }
    if (mirror !== this.owner) {
      this.owner = mirror;
      this.#coverage.clear();
    }
    this.#isNew = false;
    tell('info', 'nbd:listen-joined', `${session.peer} sends its disk, attempt ${attempt}`, {
      peer: session.peer,
      attempt,
      receivedBytes: this.#coverage.bytes,
    });
    return true;
  }
  readonly #waiting: Array<() => void> = [];

  /** A session is over. `isDisc`: it said so, and every one of its requests was done. */
  left(session: Session, isDisc: boolean, isGood: boolean): void {
    this.#sessions.delete(session);
    for (const wake of this.#waiting.splice(0)) wake();
    if (!isDisc || this.#hasControl) return;
    const { anyDisconnect = false, image } = this.#options;
    const isWhole = isGood && this.#coverage.covers(image.sizeBytes) && !this.#isNew;
    if (!isWhole && !anyDisconnect) {
      const { bytes } = this.#coverage;
      tell('warn', 'nbd:listen-incomplete', `${session.peer} has left with the disk incomplete`, {
        peer: session.peer,
        receivedBytes: this.#isNew ? 0 : bytes,
        sizeBytes: image.sizeBytes,
      });
      return;
    }
    this.#hasControl = true;
    void this.#complete(session.peer);
  }

  async #complete(peer: string): Promise<void> {
    const { image } = this.#options;
    try {
      await image.flush();
      rmSync(incompletePath(image.path), { force: true });
      const bytes = this.#coverage.bytes;
      tell('info', 'nbd:listen-complete', `the disk has come from ${peer}`, { peer, bytes });
      this.#settle?.resolve({ peer, bytes });
    } catch (error) {
      this.#hasControl = false;
      tell('error', 'nbd:listen-failed', `the disk came and cannot be kept: ${why(error)}`, { peer });
      this.#settle?.reject(error);
    }
  }

  /** As many as are there, and one more that may come to take over from them, where they are a millrace's. */
  #most(): number {
    const joined = [...this.#sessions].some(({ isJoined }) => isJoined);
    return joined ? this.#connections * 2 : 1;
  }

  #written(offset: number, length: number): void {
    if (this.#isNew) {
      this.#isNew = false;
      this.owner = 0;
      this.#coverage.clear();
    }
    this.#coverage.add(offset, length);
  }
}
