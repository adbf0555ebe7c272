/**
 * Clients of a migration's source: writes of 64 KiB at random places, as many a second as asked for, over the oldstyle
 * protocol with its bytes written here by hand. Knows which write each place must hold.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export const writeBytes = 65_536;
const helloBytes = 152;
const headerBytes = 28;
const replyBytes = 16;
const inFlight = 8;

/** See the file's head. */
export class WriteLoad {
  /** Number of the write that each place holds. */
  readonly acked: Uint32Array;
  writes = 0;
  readonly ended: Promise<void>;
  /** Acknowledged, over its life. */
  bytesPerSecond = 0;
  #stop = false;

  /** `bytesPerSecond` 0: none. Ends when the server closes the connection, or `stop` is called. */
  constructor(port: number, sizeBytes: number, bytesPerSecond: number) {
    this.acked = new Uint32Array(sizeBytes / writeBytes);
    this.ended = bytesPerSecond === 0 ? Promise.resolve() : this.#run(port, bytesPerSecond);
  }

  stop(): void {
    this.#stop = true;
  }

  async #run(port: number, bytesPerSecond: number): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const waiting: Array<{ place: number; number: number }> = [];
    let read = 0;
    let closed = false;
    socket
      .on('error', () => undefined)
      .on('close', () => {
        closed = true;
      });
    socket.on('data', (bytes: Buffer) => {
      read += bytes.length;
      while (read - helloBytes >= replyBytes) {
        read -= replyBytes;
        const first = waiting.shift();
        if (first !== undefined) this.acked[first.place] = first.number;
      }
    });
    const startMs = performance.now();
    for (let sent = 0; !closed && !this.#stop; ) {
      const dueBytes = ((performance.now() - startMs) * bytesPerSecond) / 1000;
      if (read < helloBytes || waiting.length >= inFlight || sent > dueBytes) {
        await delay(1);
        continue;
      }
      const place = Math.floor(Math.random() * this.acked.length);
      if (waiting.some((other) => other.place === place)) continue;
      this.writes += 1;
      sent += writeBytes;
      waiting.push({ place, number: this.writes });
      socket.write(Buffer.concat([header(place * writeBytes), Buffer.alloc(writeBytes, stamp(this.writes))]));
    }
    const acked = this.writes - waiting.length;
    this.bytesPerSecond = (acked * writeBytes * 1000) / (performance.now() - startMs);
    socket.destroy();
  }
}

/** Four bytes that say which write it was; what every place holds at first is write 0. */
export function stamp(write: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(write);
  return bytes;
}

function header(offset: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32BE(0x25609513, 0);
  bytes.writeUInt16BE(1, 6);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(writeBytes, 24);
  return bytes;
}
