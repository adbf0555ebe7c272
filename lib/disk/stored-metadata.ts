/**
 * The committed metadata of one trace, for those who read it from within the relay. What is committed ends where a
 * command ended. With each trace chunk the producer sends the whole text again, as a file of its own that begins with
 * what was in the one before: a reader goes on in it behind what it has read. Source: live-protocol, "Life of the
 * metadata stream".
 */
import { Readers } from './readers.ts';
import type { StoredFile } from './stored-file.ts';

/** See the file's head. */
export class StoredMetadata extends Readers {
  /** Whole commands that have come and are not committed yet. */
  underWay = 0;
  #last: StoredFile | undefined;

  /** A file begins. */
  add(file: StoredFile): void {
    if (this.#last !== undefined) this.#last.next = file;
    this.#last = file;
  }

  /** A command is committed, up to `bytes` of the file. */
  committed(file: StoredFile, bytes: number): void {
    file.committedBytes = bytes;
    this.underWay -= 1;
    this.changed();
  }

  /** Nothing more will be written to the file. */
  finished(file: StoredFile): void {
    file.finished = true;
    this.changed();
  }

  /** Whether packets that have come may need metadata that no reader can have yet. */
  get isBehind(): boolean {
    return this.underWay > 0 && !this.failed;
  }

  /** A cursor at the beginning. It is to be closed. */
  open(): MetadataCursor {
    return new MetadataCursor(this.#last);
  }
}

/** One reader's place in the metadata of a trace. */
export class MetadataCursor {
  /** Bytes that this reader has been given. */
  position = 0;
  #file: StoredFile | undefined;

  constructor(file: StoredFile | undefined) {
    this.#file = file;
    file?.hold(this);
  }

  /** Bytes to take now. */
  get availableBytes(): number {
    for (;;) {
      const file = this.#file;
      if (file === undefined) return 0;
      const bytes = file.isOpenTo(this) ? file.committedBytes - this.position : 0;
      if (bytes > 0) return bytes;
      if (!file.finished || file.next === undefined) return 0;
      file.release(this);
      this.#file = file.next;
      this.#file.hold(this);
    }
  }

  /** Takes what is available: `bytes` of the file from `position` on. Undefined: nothing is. */
  take(): { file: StoredFile; position: number; bytes: number } | undefined {
    const bytes = this.availableBytes;
    if (bytes === 0) return undefined;
    const { position } = this;
    this.position += bytes;
    return { file: this.#file as StoredFile, position, bytes };
  }

  /** Goes on behind `position` bytes, which the reader has. */
  seek(position: number): void {
    this.position = Math.max(this.position, position);
  }

  /** Begins again: every file begins with all that came before it. */
  goBack(): void {
    this.position = 0;
  }

  close(): void {
    this.#file?.release(this);
    this.#file = undefined;
  }
}
