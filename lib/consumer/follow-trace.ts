/** A trace in one trace chunk of a growing directory: its metadata, and the files of its streams as they appear. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readMetadataClass } from '../ctf/metadata/index.ts';
import { PacketReader } from '../ctf/packet-header.ts';
import type { TraceClass } from '../ctf/trace-class.ts';
import { CommittedFile, type CooperativeOptions } from '../disk/committed-file.ts';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { TraceLayout } from './session-layout.ts';
import { possibleRings } from './stream-files.ts';
import { TailFile } from './tail-file.ts';

/** Files that have been seen to be of one stream, all with packets, or one without. */
export interface NewFiles {
  channelName: string;
  /** Of the packets: `CLASS INSTANCE`; undefined: they do not say, or there is none. */
  instance: string | undefined;
  files: TailFile[];
}

/** See the file's head. Paths are absolute. */
export class FollowTrace {
  /** Relative to its chunk. */
  readonly path: string;
  /** Files whose stream is not known. */
  readonly #pending: TailFile[] = [];
  /** Inodes of its data files. */
  readonly #known = new Set<bigint>();
  readonly #options: CooperativeOptions & { damaged(error: MillraceError): void };
  #directory: string;
  #metadata: CommittedFile | undefined;
  #metadataInode: bigint | undefined;
  /** Metadata that has been handed out. */
  metadataBytes = 0;
  /** +1 when the metadata was begun anew. */
  version = 0;
  /** Whether, when it was asked last, somebody was going to write metadata. */
  metadataGrows = true;
  #class: { trace: TraceClass; bytes: number } | undefined;

  constructor(
    path: string,
    directory: string,
    options: CooperativeOptions & { damaged(error: MillraceError): void },
  ) {
    this.path = path;
    this.#directory = directory;
    this.#options = options;
  }

  get directory(): string {
    return this.#directory;
  }

  /** Inodes by which it is known wherever it is moved. */
  *inodes(): Iterable<bigint> {
    if (this.#metadataInode !== undefined) yield this.#metadataInode;
    yield* this.#known;
  }

  /** Whether files without packets may still get some. */
  get isPendingGrowing(): boolean {
    return this.#pending.some(({ writing }) => writing);
  }

  /** It lies at `directory` now, with these files. `moved`: told of files that have gone there with it. */
  async update(directory: string, { found }: TraceLayout, streams: Iterable<TailFile>): Promise<void> {
    this.#directory = directory;
    for (const file of [...streams, ...this.#pending]) file.directory = directory;
    const inode = await inodeOf(join(directory, 'metadata'));
    if (inode !== undefined && inode !== this.#metadataInode) await this.#openMetadata(inode);
    for (const name of found.streamFiles) {
      const own = await inodeOf(join(directory, name));
      if (own === undefined || this.#known.has(own)) continue;
      const file = await TailFile.open(directory, name, {
        ...this.#options,
        reader: () => this.reader(),
      });
      if (file === undefined) continue;
      this.#known.add(file.inode);
      this.#pending.push(file);
    }
  }

  async #openMetadata(inode: bigint): Promise<void> {
    const file = await CommittedFile.open(join(this.#directory, 'metadata'), this.#options);
    if (file === undefined) return;
    await this.#metadata?.close();
    if (this.#metadata !== undefined) this.version += 1;
    this.#metadata = file;
    this.#metadataInode = inode;
    this.metadataBytes = 0;
    this.#class = undefined;
  }

  /** Metadata that was committed since the last time; empty: none. Errors: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED. */
  async moreMetadata(): Promise<Buffer> {
    if (this.#metadata === undefined) return Buffer.alloc(0);
    this.#metadata.path = join(this.#directory, 'metadata');
    const { endBytes, writing } = await this.#metadata.extent(this.metadataBytes);
    this.metadataGrows = writing;
    if (endBytes > limits.metadataBytes) {
      const why = `${endBytes} bytes, at most ${limits.metadataBytes} are read`;
      throw new MillraceError('MR_ERR_CONSUMER_DAMAGE', { path: this.#metadata.path, why });
    }
    const more = await this.#metadata.read(this.metadataBytes, endBytes - this.metadataBytes);
    this.metadataBytes = endBytes;
    return more;
  }

  /** What its metadata says, as far as it goes; undefined: nothing that can be understood. */
  async traceClass(): Promise<TraceClass | undefined> {
    if (this.#metadata === undefined) return undefined;
    const { endBytes } = await this.#metadata.extent(0);
    if (endBytes === 0 || endBytes > limits.metadataBytes) return undefined;
    if (this.#class?.bytes === endBytes) return this.#class.trace;
    try {
      const trace = readMetadataClass(await this.#metadata.read(0, endBytes));
      this.#class = { trace, bytes: endBytes };
      return trace;
    } catch (error) {
      if (!(error instanceof MillraceError) || !error.code.startsWith('MR_ERR_CTF_')) throw error;
      return undefined;
    }
  }

  async reader(): Promise<PacketReader | undefined> {
    const trace = await this.traceClass();
    return trace === undefined ? undefined : new PacketReader(trace);
  }

  /**
   * Files that have shown whose they are since the last time, those of one stream together. `all`: nothing more will
   * come, so files without packets are given out as well.
   */
  async newFiles(all: boolean): Promise<NewFiles[]> {
    for (const file of this.#pending) await file.look();
    const shown = this.#pending.filter(({ isEmpty, writing }) => !isEmpty || (all && !writing));
    if (shown.length === 0) return [];
    this.#pending.splice(0, this.#pending.length, ...this.#pending.filter((file) => !shown.includes(file)));
    const groups = new Map<string, NewFiles>();
    for (const file of shown) {
      const facts = file.found[0]?.facts;
      const instance =
        facts?.streamInstanceId === undefined
          ? undefined
          : `${facts.streamClassId} ${facts.streamInstanceId}`;
      const key = instance ?? `\0${file.name}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { channelName: file.name, instance, files: [file] });
      else group.files.push(file);
    }
    for (const group of groups.values()) {
      const names = group.files.map(({ name }) => name);
      if (names.length > 1 && possibleRings(names)[0]?.length === names.length)
        group.channelName = group.channelName.replace(/_\d+$/, '');
    }
    return [...groups.values()];
  }

  /** Whether a file of this name waits for its stream. */
  hasPending(name: string): boolean {
    return this.#pending.some((file) => file.name === name);
  }

  /** That file, which is its stream's from now on. */
  takePending(name: string): TailFile | undefined {
    const at = this.#pending.findIndex((file) => file.name === name);
    return at < 0 ? undefined : this.#pending.splice(at, 1)[0];
  }

  async close(): Promise<void> {
    await this.#metadata?.close();
    for (const file of this.#pending.splice(0)) await file.close();
  }
}

/** undefined: there is no such file. */
export async function inodeOf(path: string): Promise<bigint | undefined> {
  return (await stat(path, { bigint: true }).catch(() => undefined))?.ino;
}
