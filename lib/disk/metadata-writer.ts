/**
 * Writes one CTF trace's metadata: commands appended as they come, each with its padding. A command is visible
 * to readers when it is written whole; a regeneration begins a new file, and readers of the old one keep it.
 */
import { readFileSync } from 'node:fs';
import { MillraceError } from '../errors.ts';
import type { Metadata, StreamOpen } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';
import { tell } from '../telemetry.ts';
import { AppendFile, padding } from './append-file.ts';
import { Ledger } from './ledger.ts';
import type { StoreContext } from './store-context.ts';
import { StoredFile } from './stored-file.ts';
import { StoredMetadata } from './stored-metadata.ts';
import { pathIn, type TraceChunk } from './trace-chunk.ts';

/** One file, which may still be written when the next one has begun. */
interface MetadataFile {
  readonly file: AppendFile;
  /** Its number in the journal. */
  readonly id: number;
  /** End of the last whole command that is written. */
  wholeBytes: number;
  readonly stored: StoredFile;
}

/** See the file's head. Errors: MR_ERR_DISK_CREATE. */
export class MetadataWriter {
  readonly stream: StreamOpen;
  readonly ledger = new Ledger();
  /** What is committed, for readers within the relay. */
  readonly stored = new StoredMetadata();
  readonly #context: StoreContext;
  readonly #components: readonly string[];
  #chunk: TraceChunk | undefined;
  #current: MetadataFile | undefined;
  #inCommand = false;
  #version = 0;
  readonly #continues: boolean;
  /** What was stored before is said again: it is compared, and nothing of it is written as long as it is the same. */
  #known: Buffer | undefined;
  #saidBytes = 0;
  #failed: MillraceError | undefined;
  #closed = false;

  /** `continues`: what is there of a file was stored before, and will be said again from its beginning. */
  constructor(
    stream: StreamOpen,
    chunk: TraceChunk,
    components: readonly string[],
    context: StoreContext,
    continues = false,
  ) {
    this.stream = stream;
    this.#continues = continues;
    this.#context = context;
    this.#components = components;
    this.#open(chunk, continues);
  }

  get name(): string {
    return this.stream.channelName;
  }

  get path(): string {
    return pathIn(this.#chunk, this.#components);
  }

  get failed(): MillraceError | undefined {
    return this.#failed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get hasFile(): boolean {
    return this.#current !== undefined;
  }

  get committedBytes(): number {
    return this.#current?.file.safeBytes ?? 0;
  }

  /**
   * Takes one frame; the slab is retained until its bytes are written, so a slow disk holds back the producer.
   * Errors: MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE when an earlier write failed.
   */
  append(frame: Metadata, slab: Slab): void {
    if (this.#failed !== undefined) throw this.#failed;
    if (frame.version !== this.#version) this.#renew(frame.version);
    if (this.#known !== undefined && this.#isKnown(frame, slab, this.#known)) return;
    const current = this.#current;
    if (current === undefined)
      throw new MillraceError('MR_ERR_RELAY_METADATA', {
        command: 'metadata',
        why: 'its stream is in no trace chunk',
      });
    const ranges = [slab.bytes.subarray(frame.start, frame.end)];
    const { range, holeBytes } = padding(frame.last ? frame.paddingSizeBytes : 0);
    if (range !== undefined) ranges.push(range);
    const writtenBytes = frame.end - frame.start + (range?.length ?? 0);
    const bytes = writtenBytes + holeBytes;
    this.#inCommand = !frame.last;
    if (frame.last) this.stored.underWay += 1;
    // half of it must not be left in a file that the next start does not know of
    this.#context.journal.settle();
    slab.retain();
    const written = (error?: MillraceError) => {
      slab.release();
      if (error !== undefined) this.#fail(error);
      else {
        // What is still written of an earlier file does not count for this one.
        if (this.#current === undefined || this.#current === current) this.ledger.metadataBytes += bytes;
        this.#context.totals.metadataBytes += bytes;
        if (frame.last) this.#commit(current);
      }
    };
    current.file.append(ranges, writtenBytes, written, holeBytes);
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Whether the file has it already. If it has something else there, it begins anew with what is the same. */
  #isKnown({ start, end, last, paddingSizeBytes }: Metadata, slab: Slab, known: Buffer): boolean {
    const from = this.#saidBytes;
    const textEnd = from + end - start;
    const to = textEnd + (last ? paddingSizeBytes : 0);
    const isSame =
      to <= known.length &&
      known.subarray(from, textEnd).equals(slab.bytes.subarray(start, end)) &&
      known.subarray(textEnd, to).every((byte) => byte === 0);
    if (isSame) {
      this.#saidBytes = to;
      this.#inCommand = !last;
      return true;
    }
    this.#known = undefined;
    if (from === known.length) return false;
    if (this.#chunk === undefined) return false;
    const inCommand = this.#inCommand;
    this.#closeFile(() => {});
    this.#open(this.#chunk);
    this.#inCommand = inCommand;
    const { file } = this.#current as unknown as MetadataFile;
    file.append([known.subarray(0, from)], from, (error) => {
      if (error !== undefined) this.#fail(error);
      else this.ledger.metadataBytes += from;
    });
    if (this.#inCommand || from === 0) return false;
    this.stored.underWay += 1;
    this.#commit(this.#current as unknown as MetadataFile);
    return false;
  }

  #commit(written: MetadataFile): void {
    written.wholeBytes = written.file.writtenBytes;
    this.#context.journal.fileCommitted(written.id, written.wholeBytes);
    if (this.#context.durability === 'none') this.#readable(written, written.wholeBytes);
    else this.#sync(written);
  }

  /** Metadata is rare and precious: it is synced at once wherever durability is asked for at all. */
  #sync(written: MetadataFile): void {
    const { wholeBytes } = written;
    written.file.sync((error) => {
      if (error !== undefined) this.#fail(error);
      else this.#readable(written, wholeBytes);
    });
  }

  #readable({ file, stored }: MetadataFile, bytes: number): void {
    file.commit(bytes);
    this.stored.committed(stored, bytes);
  }

  /** The stream's data pending question: metadata is pending while a command is not written. */
  isPending(): boolean {
    return this.#current?.file.idle === false && this.#failed === undefined;
  }

  /** Begins an empty file under the same name. Source: relay-protocol, RESET_METADATA. */
  #renew(version: number): void {
    this.#version = version;
    this.#saidBytes = 0;
    this.#inCommand = false;
    if (this.#known !== undefined) return;
    this.ledger.metadataBytes = 0;
    if (this.#chunk === undefined) return;
    this.#closeFile(() => {});
    this.#open(this.#chunk);
  }

  /**
   * Goes over to another trace chunk, or to none, at once: the producer sends the whole text again. `done` when the
   * old chunk's file is closed. Errors: MR_ERR_DISK_CREATE.
   */
  switchTo(next: TraceChunk | undefined, done: () => void): void {
    if (this.#closed) {
      done();
      return;
    }
    this.#closeFile(done);
    this.#chunk = next;
    if (next === undefined) return;
    this.ledger.metadataBytes = 0;
    this.#open(next, this.#continues);
  }

  /** The stream has ended; half a command is cut. `done` when its file is closed. */
  close(done: () => void): void {
    if (this.#closed) {
      done();
      return;
    }
    this.#closed = true;
    if (this.#inCommand) this.#context.lose('unfinished metadata', 0, this.#tornBytes);
    this.#closeFile(done);
    this.stored.end();
  }

  #open(chunk: TraceChunk, continues = false): void {
    const { directory } = chunk.directory(this.#components);
    const directoryNow = () => chunk.directory(this.#components).directory;
    const { env } = this.#context;
    if (!continues) chunk.replaceFile([...this.#components, this.name]);
    const file = new AppendFile(directory, this.name, env, { directoryNow, urgent: true, continues });
    const stored = new StoredFile(directoryNow, this.name, undefined, env);
    this.stored.add(stored);
    chunk.addFile([...this.#components, this.name], {
      replaced: () => stored.vanish(),
      cleared: () => stored.vanish(),
    });
    const path = [...this.#components, this.name].join('/');
    const wholeBytes = file.writtenBytes;
    const { journal } = this.#context;
    // nothing in it is committed before the journal is told so
    const id = journal.fileNoted('metadata', chunk.number, path);
    if (wholeBytes > 0) journal.fileCommitted(id, wholeBytes);
    this.#chunk = chunk;
    this.#inCommand = false;
    this.#saidBytes = 0;
    this.#known = wholeBytes > 0 ? readFileSync(file.path) : undefined;
    this.#current = { file, id, wholeBytes, stored };
    this.ledger.metadataBytes = wholeBytes;
    if (wholeBytes === 0) return;
    this.stored.underWay += 1;
    this.stored.committed(stored, wholeBytes);
  }

  #closeFile(done: () => void): void {
    const closing = this.#current;
    this.#current = undefined;
    if (closing === undefined) {
      done();
      return;
    }
    closing.file.close(
      () => closing.wholeBytes,
      () => {
        this.#context.journal.fileClosed(closing.id);
        this.stored.finished(closing.stored);
        done();
      },
    );
  }

  /** Bytes that were taken and are no whole command. */
  get #tornBytes(): number {
    return this.#current === undefined ? 0 : this.#current.file.acceptedBytes - this.#current.wholeBytes;
  }

  #fail(error: MillraceError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.stored.failed = true;
    const bytes = this.#tornBytes;
    this.#context.lose(error.code, 0, bytes);
    tell(
      'error',
      'disk:lost',
      `${this.path}/${this.name}: metadata lost`,
      { cause: error.code, bytes },
      error.code,
    );
    this.close(() => {});
  }
}
