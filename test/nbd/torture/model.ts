/**
 * What clients know of a disk that they write to: for each block the write that was acknowledged last, and those after it of
 * which nobody knows. Only one client writes a block, one write at a time.
 */
import { readFileSync } from 'node:fs';

export const blockBytes = 4096;

interface Block {
  /** Number of the write that was acknowledged last; 0: what was there at first. */
  acked: number;
  /** Sent after it, and not answered. */
  open: number[];
}

/** The bytes of write number `write` to `block`: every eight of them say so. */
export function stamped(block: number, write: number): Buffer {
  const stamp = Buffer.alloc(8);
  stamp.writeUInt32BE(block, 0);
  stamp.writeUInt32BE(write, 4);
  return Buffer.alloc(blockBytes, stamp);
}

/** See the file's head. */
export class DiskModel {
  readonly blocks: Block[];
  acked = 0;

  constructor(blocks: number) {
    this.blocks = Array.from({ length: blocks }, () => ({ acked: 0, open: [] }));
  }

  /** The disk as it is at first. */
  initial(): Buffer {
    return Buffer.concat(this.blocks.map((_, block) => stamped(block, 0)));
  }

  sent(block: number, write: number): void {
    this.#of(block).open.push(write);
  }

  acknowledged(block: number, write: number): void {
    this.acked += 1;
    this.blocks[block] = { acked: write, open: [] };
  }

  /** What is wrong with the copy at `path`; undefined: it holds every acknowledged write, and nothing that nobody wrote. */
  judge(path: string): string | undefined {
    const bytes = readFileSync(path);
    if (bytes.length !== this.blocks.length * blockBytes) return `it has ${bytes.length} bytes`;
    for (const [block, { acked, open }] of this.blocks.entries()) {
      const allowed = new Set([acked, ...open]);
      for (let at = block * blockBytes; at < (block + 1) * blockBytes; at += 8) {
        const [of, write] = [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
        if (of !== block || !allowed.has(write))
          return `block ${block} holds write ${write} of block ${of}, not one of ${[...allowed].join(', ')}`;
      }
    }
    return undefined;
  }

  #of(block: number): Block {
    return this.blocks[block] as Block;
  }
}
