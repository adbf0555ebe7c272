/**
 * The writing half of a viewer's connection. Small replies are gathered and leave in one write; a reply with bytes
 * leaves with its first bytes. At most one piece of bytes waits for the viewer, in memory that is used again when the
 * kernel has taken it, so that a viewer that takes nothing costs a piece and no more.
 */
import type { Socket } from 'node:net';
import type { MillraceError } from '../../errors.ts';
import type { Payload } from './commands/handler.ts';

/** See the file's head. */
export class ViewerReplies {
  readonly #socket: Socket;
  readonly #maxPieceBytes: number;
  #gathered: Buffer[] = [];
  #piece: Buffer = Buffer.alloc(0);
  #gone = false;
  #wake: (() => void) | undefined;
  /** Since when the viewer has something to take. */
  #waitingSinceMs: number | undefined;

  constructor(socket: Socket, maxPieceBytes: number) {
    this.#socket = socket;
    this.#maxPieceBytes = maxPieceBytes;
  }

  /** Milliseconds that the viewer has had something to take and did not. */
  get stalledMs(): number {
    return this.#waitingSinceMs === undefined ? 0 : performance.now() - this.#waitingSinceMs;
  }

  /** Adds a reply to those that leave with the next `flush`. */
  add(reply: Buffer): void {
    this.#gathered.push(reply);
  }

  /** Sends what was gathered. Promised if the viewer is behind. */
  flush(): Promise<void> | undefined {
    if (this.#gathered.length === 0) return undefined;
    const bytes = this.#gathered.length === 1 ? (this.#gathered[0] as Buffer) : Buffer.concat(this.#gathered);
    this.#gathered = [];
    return this.#write(bytes, this.#socket.writableHighWaterMark);
  }

  /** Sends a reply and the bytes that follow it. Rejects with what reading them says: then the viewer cannot be helped. */
  async send(reply: Buffer, { file, position, bytes }: Payload): Promise<void> {
    this.#gathered.push(reply);
    const head = Buffer.concat(this.#gathered);
    this.#gathered = [];
    let at = position;
    for (let left = bytes, from = head.length; left > 0 && !this.#gone; from = 0) {
      const piece = this.#pieceOf(from + left);
      head.copy(piece, 0, 0, from);
      const length = Math.min(left, piece.length - from);
      const reading = readPiece(file, piece, from, length, at);
      if (reading !== undefined) await reading;
      // the memory is used again: all of it must have been taken
      const writing = this.#write(piece.subarray(0, from + length), 0);
      if (writing !== undefined) await writing;
      at += length;
      left -= length;
    }
  }

  /** Memory for a piece of `bytes`, or for as much of it as may wait. */
  #pieceOf(bytes: number): Buffer {
    const wanted = Math.min(bytes, this.#maxPieceBytes);
    // outside Node's pool: its address is known to `readCached`
    if (this.#piece.length < wanted) this.#piece = Buffer.allocUnsafeSlow(wanted);
    return this.#piece;
  }

  /** Promised if more than `mayWait` bytes are left that the kernel has not taken: until it has. */
  #write(bytes: Buffer, mayWait: number): Promise<void> | undefined {
    if (this.#gone) return undefined;
    let wake = (): void => {};
    this.#socket.write(bytes, () => wake());
    if (this.#socket.writableLength <= mayWait) return undefined;
    this.#waitingSinceMs = performance.now();
    return new Promise((resolve) => {
      wake = () => {
        this.#waitingSinceMs = undefined;
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
    });
  }

  /** The connection is gone: nobody waits any more. */
  close(): void {
    this.#gone = true;
    this.#wake?.();
    this.#piece = Buffer.alloc(0);
  }
}

/** Promised if it has to wait for the disk. */
function readPiece(
  file: Payload['file'],
  piece: Buffer,
  start: number,
  length: number,
  position: number,
): Promise<void> | undefined {
  let isDone = false;
  let failed: MillraceError | undefined;
  let settle: (() => void) | undefined;
  file.read(piece, start, length, position, (error) => {
    isDone = true;
    failed = error;
    settle?.();
  });
  if (isDone && failed === undefined) return undefined;
  return new Promise((resolve, reject) => {
    settle = () => (failed === undefined ? resolve() : reject(failed));
    if (isDone) settle();
  });
}
