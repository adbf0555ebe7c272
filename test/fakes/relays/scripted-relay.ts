/**
 * A relay made of hand-written replies, for clients: it stores nothing, and commits the sin it is told to. Source of
 * the replies: relay-protocol, §5 and §7.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { join, text, u8, u32, u64 } from '../../helpers/bytes.ts';
import { codes } from '../../helpers/requests.ts';
import type { Teardown } from '../fake.ts';

/** What is wrong with it; absent: nothing. */
export interface Sin {
  version?: readonly [major: number, minor: number];
  /** Closes the control connection behind so many bytes of replies. */
  closesAfterBytes?: number;
  /** Never answers this command, nor any behind it. */
  silentAt?: number;
  /** Answers this command with these bytes. */
  answers?: Readonly<Record<number, Buffer>>;
  /** Ends the data connection with its first bytes. */
  dropsData?: boolean;
  /** Says something on the data connection. */
  talksOnData?: boolean;
  /** Never reads the data connection. */
  deafOnData?: boolean;
  /** Nobody listens for data. */
  noData?: boolean;
}

const ok = u32(10);
const path = text('vm/s1');

/** The honest reply to a command. */
function reply(code: number, handle: number): Buffer {
  switch (code) {
    case codes.version:
      return join(u32(2), u32(13));
    case codes.getConfiguration:
      return join(ok, u64(1));
    case codes.createSession:
      return join(u64(1), ok, u32(path.length), path);
    case codes.addStream:
      return join(u64(handle), ok);
    case codes.closeTraceChunk:
      return join(ok, u32(path.length), path);
    case codes.traceChunkExists:
      return join(ok, u8(0));
    case codes.dataPending:
    case codes.endDataPending:
      return u32(0);
    case codes.sendMetadata:
      return Buffer.alloc(0);
    default:
      return ok;
  }
}

/** See the file's head. */
export class ScriptedRelay {
  readonly sin: Sin;
  /** Commands in the order in which they came. */
  readonly commands: number[] = [];
  replyBytes = 0;
  /** Bytes that came on the data connection. */
  dataBytes = 0;
  control = { host: '127.0.0.1', port: 0 };
  data = { host: '127.0.0.1', port: 0 };
  #handles = 0;

  private constructor(sin: Sin) {
    this.sin = sin;
  }

  static async start(t: Teardown, sin: Sin = {}): Promise<ScriptedRelay> {
    const relay = new ScriptedRelay(sin);
    relay.control = await listening(t, (socket) => relay.#serve(socket));
    relay.data = await listening(t, (socket) => relay.#receive(socket), sin.noData === true);
    return relay;
  }

  #serve(socket: Socket): void {
    let held: Buffer = Buffer.alloc(0);
    let silent = false;
    socket
      .on('error', () => undefined)
      .on('data', (bytes: Buffer) => {
        held = Buffer.concat([held, bytes]);
        while (held.length >= 24) {
          const size = 24 + Number(held.readBigUInt64BE(8));
          if (held.length < size) return;
          const code = held.readUInt32BE(16);
          held = held.subarray(size);
          this.commands.push(code);
          silent ||= code === this.sin.silentAt;
          if (!silent) this.#answer(socket, code);
        }
      });
  }

  #answer(socket: Socket, code: number): void {
    const { version, answers, closesAfterBytes } = this.sin;
    if (code === codes.addStream) this.#handles += 1;
    let bytes = answers?.[code] ?? reply(code, this.#handles);
    if (code === codes.version && version !== undefined) bytes = join(u32(version[0]), u32(version[1]));
    const left = (closesAfterBytes ?? Number.POSITIVE_INFINITY) - this.replyBytes;
    this.replyBytes += bytes.length;
    if (socket.writable) socket.write(bytes.subarray(0, Math.max(0, left)));
    if (left <= bytes.length) socket.end();
  }

  #receive(socket: Socket): void {
    const { dropsData, talksOnData, deafOnData } = this.sin;
    socket.on('error', () => undefined);
    if (talksOnData === true) socket.write('hello');
    if (deafOnData === true) socket.pause();
    else
      socket.on('data', ({ length }: Buffer) => {
        this.dataBytes += length;
        if (dropsData === true) socket.destroy();
      });
  }
}

async function listening(
  t: Teardown,
  onConnection: (socket: Socket) => void,
  closed = false,
): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const close = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
  if (closed) await close();
  else t.teardown(close);
  return { host: '127.0.0.1', port };
}
