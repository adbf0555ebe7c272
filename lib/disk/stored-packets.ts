/**
 * The committed packets of one stream, for those who read them from within the relay. It grows as the writer commits;
 * readers have cursors and are told when something has happened. The writer knows of no reader, and waits for none.
 */
import { PacketCursor } from './packet-cursor.ts';
import { Readers } from './readers.ts';
import type { StoredFile } from './stored-file.ts';

/** See the file's head. */
export class StoredPackets extends Readers {
  /** Packets committed since the stream began. */
  count = 0;
  /** The oldest file that a reader who comes now may begin with: of the current chunk, or the last one there was. */
  #first: StoredFile | undefined;
  /** The stream has left its chunk, and has no file in another one yet. */
  #hasLeft = false;
  /** The newest file, also when the stream has left its chunk: readers wait at its end for the next. */
  #last: StoredFile | undefined;
  readonly #cursors = new Set<PacketCursor>();

  /** Packets go to this file from now on. */
  add(file: StoredFile): void {
    if (this.#last !== undefined) this.#last.next = file;
    this.#last = file;
    if (this.#hasLeft) this.#first = file;
    this.#hasLeft = false;
    this.#first ??= file;
    while (this.#first.vanished && this.#first.next !== undefined) this.#first = this.#first.next;
    for (const cursor of this.#cursors) cursor.added(file);
  }

  /** So many more are committed. */
  committed(packets: number): void {
    this.count += packets;
    if (packets > 0) this.changed();
  }

  /** The stream leaves its chunk: who comes when it has a file in another one does not see what was in this one. */
  leaveChunk(): void {
    this.#hasLeft = true;
    this.changed();
  }

  /** The file's name is about to go to another file, or to nobody. */
  vanish(file: StoredFile): void {
    file.vanish();
    while (this.#first?.vanished === true && this.#first.next !== undefined) this.#first = this.#first.next;
    for (const cursor of this.#cursors) cursor.vanished();
  }

  /** The file's chunk is about to be deleted: those who have not come so far yet may still read it. */
  cleared(file: StoredFile): void {
    for (const cursor of this.#cursors) cursor.claim(file);
    this.vanish(file);
  }

  /** A cursor in front of the oldest packet that can be read, or behind the newest. It is to be closed. */
  open(from: 'beginning' | 'last'): PacketCursor {
    const first = this.#first?.vanished === true ? undefined : this.#first;
    const start = from === 'last' ? this.#newest() : { file: first, record: 0 };
    let position = this.count;
    for (let file = start.file; file !== undefined; file = file.next)
      position -= file === start.file ? file.records - start.record : file.records;
    const atEnd = { file: this.#last, record: this.#last?.records ?? 0 };
    const cursor = new PacketCursor(start.file === undefined ? atEnd : start, position, () =>
      this.#cursors.delete(cursor),
    );
    this.#cursors.add(cursor);
    return cursor;
  }

  /** Behind what is committed; a file before the last one may still wait for indexes. */
  #newest(): { file: StoredFile | undefined; record: number } {
    let file = this.#first;
    while (file?.finished === true && file.next !== undefined) file = file.next;
    return { file, record: file?.records ?? 0 };
  }
}
