/**
 * A scripted viewer: its requests are written by hand from the tables of live-protocol §2 to §4, and its replies are
 * read at the length that those tables give them.
 */
import assert from 'node:assert';
import { join, u32, u64 } from './bytes.ts';
import { type Address, Peer } from './peer.ts';

/** Numbers of the commands. Source: live-protocol, "Commands". */
export const viewerCodes = {
  connect: 1,
  listSessions: 2,
  attachSession: 3,
  getNextIndex: 4,
  getPacket: 5,
  getMetadata: 6,
  getNewStreams: 7,
  createSession: 8,
  detachSession: 9,
} as const;

export const seekBeginning = 1;
export const seekLast = 2;
export const flagMetadata = 1;
export const flagStream = 2;

/** A request: 16 bytes of header, then `payload`. */
export function viewerRequest(code: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  return join(u64(payload.length), u32(code), u32(0), payload);
}

export const connectRequest = (minor = 4, { id = 2n ** 64n - 1n, major = 2, type = 1 } = {}): Buffer =>
  viewerRequest(viewerCodes.connect, join(u64(id), u32(major), u32(minor), u32(type)));

export interface ListedSession {
  id: bigint;
  timer: number;
  clients: number;
  streams: number;
  host: string;
  name: string;
  format?: number;
}

export interface ShownStream {
  id: bigint;
  trace: bigint;
  metadata: boolean;
  path: string;
  channel: string;
}

/** An index reply by the words of the reference: `ok`, `retry`, ... */
export interface IndexReply {
  status: 'ok' | 'retry' | 'hangUp' | 'error' | 'inactive';
  flags: number;
  offset: bigint;
  packetBytes: number;
  contentBits: bigint;
  begin: bigint;
  end: bigint;
  discarded: bigint;
  streamClass: bigint;
}

const indexStatus = ['', 'ok', 'retry', 'hangUp', 'error', 'inactive'] as const;

/** Text in a field, up to its first NUL. */
function textOf(bytes: Buffer): string {
  return bytes.toString('utf8', 0, bytes.indexOf(0));
}

/** See the file's head. */
export class ScriptedViewer {
  readonly peer: Peer;
  readonly minor: number;
  /** The reply to CONNECT. */
  connected!: Buffer;

  private constructor(peer: Peer, minor: number) {
    this.peer = peer;
    this.minor = minor;
  }

  /** Connects, and makes its viewer session unless it is told not to. */
  static async open(
    t: { teardown(leave: () => Promise<void>): void },
    live: Address,
    { minor = 4, id = 2n ** 64n - 1n, create = true } = {},
  ): Promise<ScriptedViewer> {
    const viewer = new ScriptedViewer(await Peer.connect(live), Math.min(minor, 15));
    t.teardown(() => viewer.peer.destroy());
    viewer.connected = await viewer.peer.ask(connectRequest(minor, { id }), 20);
    assert.equal(viewer.connected.toString('hex', 8, 16), '000000020000000f');
    if (create) assert.equal(await viewer.create(), 1);
    return viewer;
  }

  async #status(code: number, payload?: Buffer): Promise<number> {
    return (await this.peer.ask(viewerRequest(code, payload), 4)).readUInt32BE(0);
  }

  create(): Promise<number> {
    return this.#status(viewerCodes.createSession);
  }

  async list(): Promise<ListedSession[]> {
    const count = (await this.peer.ask(viewerRequest(viewerCodes.listSessions), 4)).readUInt32BE(0);
    const sessions: ListedSession[] = [];
    for (let n = 0; n < count; n += 1) {
      const head = await this.peer.read(this.minor < 15 ? 339 : 32);
      const facts = {
        id: head.readBigUInt64BE(0),
        timer: head.readUInt32BE(8),
        clients: head.readUInt32BE(12),
        streams: head.readUInt32BE(16),
      };
      if (this.minor < 15) {
        sessions.push({ ...facts, host: textOf(head.subarray(20, 84)), name: textOf(head.subarray(84)) });
        continue;
      }
      const host = (await this.peer.read(head.readUInt32BE(20))).toString();
      const name = (await this.peer.read(head.readUInt32BE(24))).toString();
      sessions.push({ ...facts, host, name, format: head.readUInt32BE(28) });
    }
    return sessions;
  }

  async #streams(code: number, payload: Buffer): Promise<{ status: number; streams: ShownStream[] }> {
    const head = await this.peer.ask(viewerRequest(code, payload), 8);
    const streams: ShownStream[] = [];
    for (let n = head.readUInt32BE(4); n > 0; n -= 1) {
      const entry = await this.peer.read(4371);
      streams.push({
        id: entry.readBigUInt64BE(0),
        trace: entry.readBigUInt64BE(8),
        metadata: entry.readUInt32BE(16) === 1,
        path: textOf(entry.subarray(20, 4116)),
        channel: textOf(entry.subarray(4116)),
      });
    }
    return { status: head.readUInt32BE(0), streams };
  }

  attach(session: bigint, seek = seekBeginning): Promise<{ status: number; streams: ShownStream[] }> {
    return this.#streams(viewerCodes.attachSession, join(u64(session), u64(0), u32(seek)));
  }

  newStreams(session: bigint): Promise<{ status: number; streams: ShownStream[] }> {
    return this.#streams(viewerCodes.getNewStreams, u64(session));
  }

  detach(session: bigint): Promise<number> {
    return this.#status(viewerCodes.detachSession, u64(session));
  }

  async index(stream: bigint): Promise<IndexReply> {
    const reply = await this.peer.ask(viewerRequest(viewerCodes.getNextIndex, u64(stream)), 64);
    const status = indexStatus[reply.readUInt32BE(56)];
    assert(status !== undefined && status !== '', `status ${reply.readUInt32BE(56)}`);
    return {
      status,
      flags: reply.readUInt32BE(60),
      offset: reply.readBigUInt64BE(0),
      packetBytes: Number(reply.readBigUInt64BE(8) / 8n),
      contentBits: reply.readBigUInt64BE(16),
      begin: reply.readBigUInt64BE(24),
      end: reply.readBigUInt64BE(32),
      discarded: reply.readBigUInt64BE(40),
      streamClass: reply.readBigUInt64BE(48),
    };
  }

  /** Asks until the answer is another than RETRY. */
  async soon(stream: bigint): Promise<IndexReply> {
    for (;;) {
      const reply = await this.index(stream);
      if (reply.status !== 'retry') return reply;
    }
  }

  async packet(stream: bigint, offset: bigint, bytes: number): Promise<{ status: number; bytes: Buffer }> {
    const payload = join(u64(stream), u64(offset), u32(bytes));
    const head = await this.peer.ask(viewerRequest(viewerCodes.getPacket, payload), 12);
    assert.equal(head.readUInt32BE(8), 0, 'flags');
    return { status: head.readUInt32BE(0), bytes: await this.peer.read(head.readUInt32BE(4)) };
  }

  /** The next packet, as soon as there is one; undefined when the stream has hung up. */
  async next(stream: bigint): Promise<Buffer | undefined> {
    for (;;) {
      const { status, offset, packetBytes } = await this.index(stream);
      if (status === 'hangUp') return undefined;
      if (status === 'ok') {
        const packet = await this.packet(stream, offset, packetBytes);
        assert.equal(packet.status, 1, 'GET_PACKET');
        return packet.bytes;
      }
      assert(status === 'retry' || status === 'inactive', status);
    }
  }

  /** Every packet until the stream hangs up. */
  async rest(stream: bigint): Promise<Buffer[]> {
    const packets: Buffer[] = [];
    for (;;) {
      const packet = await this.next(stream);
      if (packet === undefined) return packets;
      packets.push(packet);
    }
  }

  async metadata(stream: bigint): Promise<{ status: number; bytes: Buffer }> {
    const head = await this.peer.ask(viewerRequest(viewerCodes.getMetadata, u64(stream)), 12);
    const bytes = await this.peer.read(Number(head.readBigUInt64BE(0)));
    return { status: head.readUInt32BE(8), bytes };
  }
}
