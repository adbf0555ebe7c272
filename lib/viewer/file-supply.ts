import type { DataStream } from './data-streams.ts';
import type { PacketSupply, Supplied } from './messages.ts';
import { PacketFile } from './packet-file.ts';

/** A stream's packets from its files. */
export class FileSupply implements PacketSupply {
  readonly #stream: DataStream;
  readonly #file: PacketFile;
  #at = 0;

  constructor(stream: DataStream, windowBytes: number, isAlone: boolean) {
    this.#stream = stream;
    this.#file = new PacketFile(windowBytes, isAlone);
  }

  /** The packet that comes next, by its place in the table. */
  seek(at: number): void {
    this.#at = at;
  }

  next(): Supplied | 'load' | 'end' {
    const packet = this.#stream.packets[this.#at];
    if (packet === undefined) return 'end';
    const bytes = this.#file.held(packet);
    if (bytes === undefined) return 'load';
    this.#at += 1;
    return { packet, bytes };
  }

  async load(): Promise<void> {
    const packet = this.#stream.packets[this.#at];
    if (packet !== undefined) await this.#file.load(packet);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
