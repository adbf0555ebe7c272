/**
 * An NBD client: one connection to one export, with as many requests in flight as its user likes. It looks like a
 * disk (`../disk.ts`), so that a copy need not know what is at either end.
 */
import type { Socket } from 'node:net';
import type { Extent } from '../../disk/extents.ts';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { socketSource } from '../../network/socket-source.ts';
import { type ByteBatch, releaseBatch } from '../../stage/batch.ts';
import { SlabPool } from '../../stage/slab.ts';
import { allocationStatus, type CommandName, commandFlags, transmissionFlags } from '../../wire/nbd/index.ts';
import type { Disk } from '../disk.ts';
import { dialServer, inTime, type NbdClientOptions } from './dial-server.ts';
import { type Agreed, Handshake, type ListedExport } from './handshake.ts';
import { type Pending, PendingRequests } from './pending.ts';
import { ReplyReader } from './reply-reader.ts';
import { encodeRequest } from './request-codec.ts';
import { Silence } from './silence.ts';

/** What is asked for beside the effect. */
export interface RequestOptions {
  /** Durable before it is answered. */
  fua?: boolean;
  /** In place of one of the client's own; opaque to the server. */
  cookie?: bigint;
}

/** Lengths on the wire have 32 bits; a multiple of every block size. */
const mostBytes = 2 ** 31;

/** See the file's head. Every call rejects with MR_ERR_NBD_REPLY (the connection goes on) or why it is lost. */
export class NbdClient implements Disk {
  readonly agreed: Agreed;
  readonly peer: string;
  readonly #socket: Socket;
  readonly #requests: PendingRequests;
  #failure: Error | undefined;
  #isEnding = false;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  readonly #silence: Silence | undefined;

  /** Connects and shakes hands. Rejects as `dial` and `Handshake.agree`, or with the signal's reason. */
  static async connect(options: NbdClientOptions): Promise<NbdClient> {
    const { socket, peer } = await dialServer(options);
    const agreed = await inTime(socket, peer, options, () => new Handshake(socket, peer).agree(options));
    return new NbdClient(agreed, peer, options.silenceMs);
  }

  /** The exports of a server. Rejects likewise. */
  static async list(options: Omit<NbdClientOptions, 'exportName'>): Promise<ListedExport[]> {
    const { socket, peer } = await dialServer(options);
    try {
      return await inTime(socket, peer, options, () => new Handshake(socket, peer).list(options));
    } finally {
      socket.destroy();
    }
  }

  private constructor(agreed: Agreed, peer: string, silenceMs: number | undefined) {
    this.peer = peer;
    this.#requests = new PendingRequests(peer, agreed.allocationId);
    const reader = new ReplyReader(agreed, peer, this.#requests);
    const pool = new SlabPool({ slabs: 2 });
    const source = socketSource(agreed.socket, {
      pool,
      quota: pool.quota(),
      scratch: Buffer.allocUnsafeSlow(limits.scratchBytes),
      name: peer,
      byEvents: 'encrypted' in agreed.socket,
    });
    this.#socket = source.socket;
    this.agreed = { ...agreed, socket: source.socket };
    this.#canZero = this.can('sendWriteZeroes');
    source.on('data', (batch: ByteBatch) => {
      this.#silence?.moved();
      try {
        reader.feed(batch.slab.bytes, batch.start, batch.end);
      } catch (error) {
        source.destroy(error as Error);
      } finally {
        releaseBatch(batch);
      }
    });
    source.on('error', (error) => this.#lost(error));
    source.on('end', () => this.#lost(lostError(peer, 'the server has closed')));
    this.closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    if (silenceMs === undefined) return;
    this.#silence = new Silence(
      this.#socket,
      silenceMs,
      () => this.#requests.size > 0,
      () => this.#lost(new MillraceError('MR_ERR_NBD_SILENT', { peer, seconds: silenceMs / 1000 })),
    );
  }

  get sizeBytes(): number {
    return this.agreed.sizeBytes;
  }

  get readOnly(): boolean {
    return this.can('readOnly');
  }

  /** Requests without a reply. */
  get inFlight(): number {
    return this.#requests.size;
  }

  /** Whether the export has a transmission flag. */
  can(flag: keyof typeof transmissionFlags): boolean {
    return (this.agreed.transmissionFlags & transmissionFlags[flag]) !== 0;
  }

  async read(bytes: Buffer, start: number, length: number, offset: number): Promise<void> {
    await this.#inParts(offset, length, (at, partBytes) =>
      this.#request('read', at, partBytes, { bytes, start: start + at - offset }),
    );
  }

  async write(
    bytes: Buffer,
    start: number,
    length: number,
    offset: number,
    options: RequestOptions = {},
  ): Promise<void> {
    await this.#inParts(offset, length, (at, partBytes) => {
      const from = start + at - offset;
      return this.#request('write', at, partBytes, {
        ...options,
        payload: bytes.subarray(from, from + partBytes),
      });
    });
  }

  /** With WRITE_ZEROES where the server knows it, else by writing zeroes. */
  async zero(offset: number, length: number, options: RequestOptions = {}): Promise<void> {
    let done = 0;
    while (this.#canZero && done < length) {
      const partBytes = Math.min(mostBytes, length - done);
      try {
        await this.#request('writeZeroes', offset + done, partBytes, options);
        done += partBytes;
      } catch (error) {
        if (!isNotSupported(error)) throw error;
        this.#canZero = false;
      }
    }
    const zeroes = Buffer.alloc(Math.min(length - done, limits.nbdCopyBytes));
    for (; done < length; done += zeroes.length)
      await this.write(zeroes, 0, Math.min(zeroes.length, length - done), offset + done, options);
  }
  #canZero: boolean;

  /** A hint; nothing where the server does not know it. */
  async trim(offset: number, length: number): Promise<void> {
    if (!this.can('sendTrim')) return;
    for (let done = 0; done < length; done += mostBytes)
      await this.#request('trim', offset + done, Math.min(mostBytes, length - done));
  }

  /** Makes everything durable that was answered; nothing where the server does not know it. */
  async flush(): Promise<void> {
    if (this.can('sendFlush')) await this.#request('flush', 0, 0);
  }

  async extents(offset: number, length: number, most: number): Promise<Extent[]> {
    const asked = Math.min(length, mostBytes);
    const { allocationId } = this.agreed;
    if (allocationId === undefined) return [{ lengthBytes: length, hole: false }];
    const pending = await this.#request('blockStatus', offset, asked);
    const extents = clipped(pending.extents, asked, most);
    if (extents.length === 0)
      throw new MillraceError('MR_ERR_NBD_PROTOCOL', { peer: this.peer, why: 'no extents' });
    return extents;
  }

  /** Says goodbye, and resolves when the connection is closed, at the latest after `patienceMs`. */
  async disconnect(patienceMs = 2000): Promise<void> {
    if (this.#failure !== undefined || this.#isEnding) return await this.closed;
    this.#isEnding = true;
    this.#socket.write(
      encodeRequest(this.agreed, { name: 'disconnect', offset: 0, length: 0, cookie: 0n, flags: 0 }),
    );
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), patienceMs);
    await this.closed;
    clearTimeout(timer);
  }

  /** Breaks the connection off; requests that wait reject with `error`. */
  destroy(error: Error = lostError(this.peer, 'given up')): void {
    this.#lost(error);
  }

  #lost(error: Error): void {
    if (this.#failure === undefined) this.#failure = error;
    this.#silence?.stop();
    this.#socket.destroy();
    this.#requests.failAll(this.#failure);
  }

  /** Cuts a range to what the server takes in one request. */
  async #inParts(
    offset: number,
    length: number,
    act: (offset: number, length: number) => Promise<unknown>,
  ): Promise<void> {
    const most = Math.min(this.agreed.maximumPayloadBytes, mostBytes);
    if (length <= most) {
      await act(offset, length);
      return;
    }
    const parts: Promise<unknown>[] = [];
    for (let done = 0; done < length; done += most)
      parts.push(act(offset + done, Math.min(most, length - done)));
    await Promise.all(parts);
  }

  #request(
    command: CommandName,
    offset: number,
    length: number,
    options: RequestOptions & { bytes?: Buffer; start?: number; payload?: Buffer } = {},
  ): Promise<Pending> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const { bytes, start, payload, fua = false, cookie } = options;
      const pending: Pending = {
        command,
        offset,
        length,
        filled: 0,
        extents: [],
        error: undefined,
        resolve: () => resolve(pending),
        reject,
        ...(bytes === undefined ? {} : { bytes }),
        ...(start === undefined ? {} : { start }),
      };
      const flags = fua && this.can('sendFua') ? commandFlags.fua : 0;
      if (this.#requests.size === 0) this.#silence?.moved();
      const own = this.#requests.add(pending, cookie);
      const header = encodeRequest(this.agreed, { name: command, offset, length, cookie: own, flags });
      if (payload === undefined) {
        this.#socket.write(header);
        return;
      }
      this.#socket.cork();
      this.#socket.write(header);
      this.#socket.write(payload);
      this.#socket.uncork();
    });
  }
}

/** Extents as a disk tells them: neighbours differ, at most `most`, none beyond `lengthBytes`. */
function clipped(
  told: readonly { lengthBytes: number; status: number }[],
  lengthBytes: number,
  most: number,
): Extent[] {
  const extents: Extent[] = [];
  let left = lengthBytes;
  for (const one of told) {
    const hole = (one.status & allocationStatus.zero) !== 0;
    const inside = Math.min(one.lengthBytes, left);
    const last = extents.at(-1);
    if (inside > 0 && last?.hole === hole) last.lengthBytes += inside;
    else if (inside > 0 && extents.length < most) extents.push({ lengthBytes: inside, hole });
    else break;
    left -= inside;
  }
  return extents;
}

/** nbdkit 1.32 offers WRITE_ZEROES in oldstyle too, and answers it with EINVAL. */
function isNotSupported(error: unknown): boolean {
  const { code, facts } = error instanceof MillraceError ? error : {};
  return code === 'MR_ERR_NBD_REPLY' && (facts?.error === 'EINVAL' || facts?.error === 'ENOTSUP');
}

function lostError(peer: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_NETWORK_LOST', { peer, why });
}
