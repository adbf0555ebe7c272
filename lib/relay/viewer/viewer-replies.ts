/**
 * The writing half of a viewer's connection. Small replies are gathered and leave together; a reply with bytes leaves
 * with its first bytes. At most one piece of bytes waits for the viewer, in memory that is used again when the kernel
 * has taken it, so that a viewer that takes nothing costs a piece and no more.
 *
 * A viewer that was told of a packet asks for its bytes, and takes a while to do so: they are read meanwhile.
 */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ReadableFile } from '../../disk/readable-file.ts';
import type { MillraceError } from '../../errors.ts';
import { sendNow } from '../../os/send-now.ts';
import type { Struct } from '../../schema/index.ts';
import type { Payload } from './commands/handler.ts';

const none: Buffer = Buffer.alloc(0);
/** Memory for small replies that is kept; what a long list needs beyond that is not. */
const headBytes = 4096;
/** In front of a piece: for the head of its reply. */
const headRoomBytes = 16;

/** See the file's head. What is promised resolves when the viewer has taken what it was sent. */
export class ViewerReplies {
  readonly #socket: Socket;
  readonly #maxPieceBytes: number;
  #heads = none;
  #headsEnd = 0;
  #piece = none;
  /** What will probably be asked for next. */
  #expected: Payload | undefined;
  /** What the piece holds for that. Left unused, nothing more is read for this viewer until it asks for bytes again. */
  #ahead: Payload | undefined;
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
  add<T extends object>(layout: Struct<T>, reply: T): void {
    const end = this.#headsEnd + layout.sizeOf(reply);
    if (end > this.#heads.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, headBytes));
      this.#heads.copy(grown, 0, 0, this.#headsEnd);
      this.#heads = grown;
    }
    this.#headsEnd = layout.encodeInto(reply, this.#heads, this.#headsEnd);
  }

  /** The viewer is likely to ask for these bytes next; they are read as soon as it has its answer. */
  expect(payload: Payload | undefined): void {
    this.#expected = payload;
  }

  /** Sends what was gathered. Promised if the viewer is behind. */
  flush(): Promise<void> | undefined {
    if (this.#headsEnd > 0) {
      const behind = this.#write(this.#heads, 0, this.#headsEnd, this.#socket.writableHighWaterMark);
      // what waits in the socket is the socket's
      if (this.#socket.writableLength > 0 || this.#heads.length > headBytes) this.#heads = none;
      this.#headsEnd = 0;
      if (behind !== undefined) return behind;
    }
    this.#readAhead();
    return undefined;
  }

  /**
   * Sends a reply and the bytes that follow it, behind what was gathered. Promised if that has to wait; rejects with
   * what reading the bytes says: then the viewer cannot be helped.
   */
  send<T extends object>(layout: Struct<T>, reply: T, payload: Payload): Promise<void> | undefined {
    const behind = this.flush();
    if (behind !== undefined || payload.bytes > this.#maxPieceBytes)
      return this.#sendLater(layout, reply, payload, behind);
    const reading = this.#read(payload);
    if (reading !== undefined) return this.#sendLater(layout, reply, payload, reading);
    return this.#sendPiece(this.#head(layout, reply), payload.bytes);
  }

  async #sendLater<T extends object>(
    layout: Struct<T>,
    reply: T,
    { file, position, bytes }: Payload,
    before: Promise<void> | undefined,
  ): Promise<void> {
    await before;
    let start: number | undefined;
    for (let at = 0; at < bytes; ) {
      const length = Math.min(bytes - at, this.#maxPieceBytes);
      await this.#read({ file, position: position + at, bytes: length });
      if (this.#gone) return;
      start = start === undefined ? this.#head(layout, reply) : headRoomBytes;
      await this.#sendPiece(start, length);
      at += length;
      // one that takes everything at once is not to keep the others waiting
      if (at < bytes) await nextTurn();
    }
  }

  /** The reply's head, right in front of the piece. Returns where it begins. */
  #head<T extends object>(layout: Struct<T>, reply: T): number {
    const start = headRoomBytes - layout.sizeOf(reply);
    layout.encodeInto(reply, this.#piece, start);
    return start;
  }

  #sendPiece(start: number, length: number): Promise<void> | undefined {
    // the memory is used again: all of it must have been taken
    return this.#write(this.#piece, start, headRoomBytes + length, 0);
  }

  /** Fills the piece. Promised if it has to wait for the disk. */
  #read({ file, position, bytes }: Payload): Promise<void> | undefined {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead?.file === file && ahead.position === position && ahead.bytes >= bytes) return undefined;
    return readPiece(file, this.#pieceOf(bytes), headRoomBytes, bytes, position);
  }

  /** Reads what is expected to be asked for, if that takes no waiting. */
  #readAhead(): void {
    const expected = this.#expected;
    this.#expected = undefined;
    if (expected === undefined || this.#ahead !== undefined || this.#gone) return;
    const { file, position } = expected;
    const bytes = Math.min(expected.bytes, this.#maxPieceBytes);
    const isRead = file.readAhead(this.#pieceOf(bytes), headRoomBytes, bytes, position);
    if (isRead) this.#ahead = { file, position, bytes };
  }

  /** Memory for a piece of `bytes` and the head in front of it. */
  #pieceOf(bytes: number): Buffer {
    const wanted = headRoomBytes + bytes;
    // outside Node's pool: its address is remembered by those who hand it to the system
    if (this.#piece.length < wanted) this.#piece = Buffer.allocUnsafeSlow(wanted);
    return this.#piece;
  }

  /** Promised if more than `mayWait` bytes are left that the kernel has not taken: until it has. */
  #write(bytes: Buffer, start: number, end: number, mayWait: number): Promise<void> | undefined {
    if (this.#gone) return undefined;
    const sent = sendNow(this.#socket, bytes, start, end);
    if (start + sent === end) return undefined;
    let wake = (): void => {};
    this.#socket.write(bytes.subarray(start + sent, end), () => wake());
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
    this.#piece = none;
    this.#heads = none;
    this.#ahead = this.#expected = undefined;
  }
}

/** Promised if it has to wait for the disk. */
function readPiece(
  file: ReadableFile,
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
