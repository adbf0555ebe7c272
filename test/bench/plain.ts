/**
 * Program: the plain receive-and-write loop, the least that any relay in Node has to do. It parses data frames
 * in the buffer they were read into and writes each stream's bytes with one writev a read, synchronously; it
 * answers control commands without regard to what they say, and keeps neither index nor metadata.
 * Arguments: control port, data port, output directory or `-` to write nothing (the generator's ceiling).
 */
import { mkdirSync, openSync, writevSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { command, replyBytes, requestHeaderBytes, tracePath } from './messages.ts';
import { frameHeaderBytes } from './packets.ts';

const [controlPort, dataPort, output] = process.argv.slice(2) as [string, string, string];
const readBytes = 1_048_576;
const zeros = Buffer.alloc(4096);

interface Stream {
  fd: number;
  packets: number;
  /** Ranges of the read at hand; a read of 1 MiB holds fewer frames than the 1024 ranges that writev takes. */
  ranges: Buffer[];
}

/** By handle; handle 0 is never given out. */
const streams: Stream[] = [{ fd: -1, packets: 0, ranges: [] }];
let sessions = 0;

function plainReply(code: number): Buffer {
  const reply = Buffer.alloc(replyBytes.plain);
  reply.writeUInt32BE(code, 0);
  return reply;
}

/** One control connection's session: its directory, and what each command is answered. */
class Session {
  #path = '';

  reply(code: number, payload: Buffer): Buffer {
    switch (code) {
      case command.version:
        return payload;
      case command.createSession:
        return this.#create();
      case command.addStream:
        return this.#addStream(payload);
      case command.sendMetadata:
        return Buffer.alloc(0);
      case command.dataPending: {
        const stream = streams[Number(payload.readBigUInt64BE(0))] as Stream;
        return plainReply(BigInt(stream.packets) > payload.readBigUInt64BE(8) ? 0 : 1);
      }
      case command.endDataPending:
        return plainReply(0);
      default:
        return plainReply(10);
    }
  }

  #create(): Buffer {
    this.#path = `plain${++sessions}`;
    if (output !== '-') mkdirSync(`${output}/${this.#path}/${tracePath}`, { recursive: true });
    const path = Buffer.from(`${this.#path}\0`);
    const fixed = Buffer.alloc(replyBytes.createSession);
    fixed.writeBigUInt64BE(BigInt(sessions), 0);
    fixed.writeUInt32BE(10, 8);
    fixed.writeUInt32BE(path.length, 12);
    return Buffer.concat([fixed, path]);
  }

  #addStream(payload: Buffer): Buffer {
    const name = payload.toString('utf8', 32, 32 + payload.readUInt32BE(0) - 1);
    const fd = output === '-' ? -1 : openSync(`${output}/${this.#path}/${tracePath}/${name}`, 'wx');
    const handle = streams.push({ fd, packets: 0, ranges: [] }) - 1;
    const reply = Buffer.alloc(replyBytes.addStream);
    reply.writeBigUInt64BE(BigInt(handle), 0);
    reply.writeUInt32BE(10, 8);
    return reply;
  }
}

function serveControl(socket: Socket): void {
  const session = new Session();
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const replies: Buffer[] = [];
    for (;;) {
      if (rest.length < requestHeaderBytes) break;
      const end = requestHeaderBytes + Number(rest.readBigUInt64BE(8));
      if (rest.length < end) break;
      replies.push(session.reply(rest.readUInt32BE(16), rest.subarray(requestHeaderBytes, end)));
      rest = rest.subarray(end);
    }
    if (replies.length > 0) socket.write(Buffer.concat(replies));
  });
}

/** Cuts one data connection's bytes into frames and writes the contents at the end of each read. */
class Frames {
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerBytes = 0;
  #left = 0;
  #padding = 0;
  #stream = streams[0] as Stream;
  readonly #touched = new Set<Stream>();

  take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) at = this.#left > 0 ? this.#content(bytes, at) : this.#head(bytes, at);
    for (const stream of this.#touched) {
      if (output !== '-') write(stream);
      stream.ranges.length = 0;
    }
    this.#touched.clear();
  }

  #head(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + frameHeaderBytes - this.#headerBytes);
    bytes.copy(this.#header, this.#headerBytes, at, end);
    this.#headerBytes += end - at;
    if (this.#headerBytes === frameHeaderBytes) {
      this.#headerBytes = 0;
      this.#stream = streams[this.#header.readUInt32BE(12)] as Stream;
      this.#left = this.#header.readUInt32BE(24);
      this.#padding = this.#header.readUInt32BE(28);
    }
    return end;
  }

  #content(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#stream.ranges.push(bytes.subarray(at, end));
    this.#touched.add(this.#stream);
    this.#left -= end - at;
    if (this.#left === 0) {
      this.#stream.ranges.push(zeros.subarray(0, this.#padding));
      this.#stream.packets++;
    }
    return end;
  }
}

function write(stream: Stream): void {
  const expected = stream.ranges.reduce((sum, range) => sum + range.length, 0);
  if (writevSync(stream.fd, stream.ranges) !== expected) throw new Error('short write');
}

/** net.createServer takes no `onread`, so the accepted handle is wrapped anew (Node 20: undocumented). */
function serveData(socket: Socket): void {
  const accepted = socket as Socket & { _handle: unknown };
  const handle = accepted._handle;
  accepted._handle = null;
  socket.destroy();
  const frames = new Frames();
  const buffer = Buffer.alloc(readBytes);
  const onread = {
    buffer,
    callback: (bytes: number) => {
      frames.take(buffer.subarray(0, bytes));
      return true;
    },
  };
  const options: object = { handle, onread };
  new Socket(options).resume();
}

createServer({ noDelay: true }, serveControl).listen(Number(controlPort), '127.0.0.1');
createServer({ pauseOnConnect: true }, serveData).listen(Number(dataPort), '127.0.0.1');
