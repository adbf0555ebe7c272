/**
 * Reads the packets of a data stream, one after the other: a window of the file at a time, so that small packets do not
 * cost a read each. One descriptor, and the window, whatever the stream holds.
 */
import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import { type Packet, packetError, type StreamFile } from './packet-table.ts';

export class PacketFile {
  readonly #windowBytes: number;
  readonly #isAlone: boolean;
  #file: StreamFile | undefined;
  #handle: FileHandle | undefined;
  #window: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  /** `windowBytes`: what is read at the least, where the file has it. `isAlone`: reading holds up the thread. */
  constructor(windowBytes: number, isAlone = false) {
    this.#windowBytes = windowBytes;
    this.#isAlone = isAlone;
  }

  /** The packet's bytes if they are in memory: lent until the next `load`. */
  held({ file, offsetBytes, sizeBytes }: Packet): Buffer | undefined {
    if (file !== this.#file || offsetBytes < this.#start || offsetBytes + sizeBytes > this.#end)
      return undefined;
    return this.#window.subarray(offsetBytes - this.#start, offsetBytes - this.#start + sizeBytes);
  }

  /** Reads the packet, and what lies behind it. Rejects MR_ERR_DISK_READ, MR_ERR_VIEW_PACKET. */
  async load({ file, offsetBytes, sizeBytes }: Packet): Promise<void> {
    if (sizeBytes > limits.packetBytes)
      throw packetError(file.path, offsetBytes, `${sizeBytes} bytes, at most ${limits.packetBytes} are read`);
    if (file !== this.#file) {
      await this.close();
      this.#file = file;
      this.#handle = await open(file.path, 'r').catch((cause) => {
        throw new MillraceError('MR_ERR_DISK_READ', { path: file.path, why: why(cause) }, { cause });
      });
    }
    const wanted = Math.max(sizeBytes, this.#windowBytes);
    if (this.#window.length < wanted) this.#window = Buffer.allocUnsafeSlow(wanted);
    this.#start = offsetBytes;
    this.#end = offsetBytes;
    while (this.#end - offsetBytes < sizeBytes) {
      const got = this.#end - offsetBytes;
      const bytes = await this.#read(got, wanted - got);
      if (bytes === 0) throw packetError(file.path, offsetBytes, 'the file became shorter while it was read');
      this.#end += bytes;
    }
  }

  async #read(at: number, bytes: number): Promise<number> {
    const handle = this.#handle as FileHandle;
    if (this.#isAlone) return readSync(handle.fd, this.#window, at, bytes, this.#end);
    return (await handle.read(this.#window, at, bytes, this.#end)).bytesRead;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    this.#file = undefined;
    await handle?.close();
  }
}
