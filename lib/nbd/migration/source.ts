/** What a migration needs of the server whose disk it moves. */
import type { Extent } from '../../disk/extents.ts';

/** The disk; see `Image`, which is one. Bytes and offsets as there. */
export interface MirroredImage {
  readonly sizeBytes: number;
  /** Resolves when the allocation map is built, or given up. */
  readonly mapped: Promise<void>;
  read(bytes: Buffer, start: number, length: number, offset: number): Promise<void>;
  extents(offset: number, length: number, most: number): Promise<Extent[]>;
  /** Hears of every change, before it is acknowledged; returns what ends that. */
  onWrite(listener: (offset: number, length: number) => void): () => void;
  /** Keeps writers waiting that come from now on, readers not; returns what ends that. */
  hold(): () => void;
}

/** The way in for the clients of that disk. */
export interface Door {
  /**
   * From now on new connections are closed before a byte of hello; who is connected finishes the request that it has
   * begun to send, is answered, and is closed; who does not finish is cut. Resolves when all are gone and nothing is
   * being written for them any more.
   */
  shut(): Promise<void>;
  /** Lets clients in again. */
  open(): Promise<void>;
  /** Closes the listening socket; resolves when it is closed. `open` undoes that, too. */
  stop(): Promise<void>;
}

/** See the file's head. */
export interface MirrorSource {
  readonly image: MirroredImage;
  /** Of the export, where it is one of several. */
  readonly name?: string;
  readonly door: Door;
  /** Removes the served file by its name, in this very tick. */
  unlink(): void;
}
