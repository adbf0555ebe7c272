/**
 * Which trace chunks there are: one object for each (sessiond, its session, chunk id), shared by the relay
 * sessions of all consumer daemons of that session, so that each rename happens once. The registry itself is no
 * user of a chunk: a chunk leaves it as soon as nobody uses it.
 *
 * For each session it also knows which chunk is current, which one awaits its close, and whether the session has
 * ever rotated; the rules are those of relay-behaviour, "Chunks", "Commands".
 */
import { MillraceError } from '../errors.ts';
import type { ChunkDone, ChunkOpen, SessionOpen } from '../stage/frames.ts';
import { below, oldChunk } from './chunk-places.ts';
import { checkComponent } from './names.ts';
import { type ChunkRest, ResumeBook } from './resume-book.ts';
import type { ChunkJournal } from './store-context.ts';
import { birthName, initialPath, TraceChunk } from './trace-chunk.ts';

/** A chunk that is complete: at its last place, and nobody will write into it any more. */
export interface CompleteChunk {
  /** Relative to the output directory. */
  path: string;
  hostname: string;
  sessionName: string;
  id: bigint;
}

/** A relay session's view of its chunks. */
export interface ChunkHolder {
  readonly open: SessionOpen;
  readonly path: readonly string[];
  current: TraceChunk | undefined;
  /** Has a successor and was not closed yet. */
  awaitingClose: TraceChunk | undefined;
  /** This consumer has had a chunk moved to the archives: decides which path its producer is told. */
  hasRotated: boolean;
  /** It goes on with what was stored of it before: its chunks are where they came to rest. */
  readonly resumes?: boolean;
}

/** See the file's head. */
export class ChunkRegistry {
  readonly #outputPath: string;
  /** Where chunks came to rest. */
  readonly book: ResumeBook;
  readonly #journal: ChunkJournal;
  readonly #onComplete: (chunk: CompleteChunk) => void;
  readonly #chunks = new Map<string, TraceChunk>();
  /** Sessions of a sessiond that have had a chunk moved to the archives. */
  readonly #rotated = new Set<string>();

  constructor(outputPath: string, journal: ChunkJournal, onComplete: (chunk: CompleteChunk) => void) {
    this.book = new ResumeBook(outputPath);
    this.#outputPath = outputPath;
    this.#journal = journal;
    this.#onComplete = onComplete;
  }

  /** How many chunks somebody uses. */
  get size(): number {
    return this.#chunks.size;
  }

  find(holder: ChunkHolder, id: bigint): TraceChunk | undefined {
    return this.#chunks.get(keyOf(holder.open, id));
  }

  /** The chunk of the holder's session that lies at `place`. */
  #at(place: string, { open }: ChunkHolder): TraceChunk | undefined {
    const session = sessionKey(open);
    return [...this.#chunks.values()].find((chunk) => chunk.session === session && chunk.liesAt(place));
  }

  #hasRotated(holder: ChunkHolder): boolean {
    return this.#rotated.has(sessionKey(holder.open));
  }

  /** Producers before 2.11 know no chunks: one without a name serves for the session's life. */
  anonymous(holder: ChunkHolder): TraceChunk {
    return this.#make(holder, { chunk: undefined, creationTimeS: 0n, overrideName: undefined }, [], () => {});
  }

  /**
   * CREATE_TRACE_CHUNK: the session's chunk from now on, made or joined; the one before awaits its close.
   * Checked whole before anything is renamed. Errors: MR_ERR_RELAY_CHUNK, MR_ERR_DISK_NAME, MR_ERR_DISK_CREATE.
   */
  open(holder: ChunkHolder, request: ChunkOpen): TraceChunk {
    const { current } = holder;
    if (holder.awaitingClose !== undefined)
      throw refused('createTraceChunk', `chunk ${holder.awaitingClose.id} is not closed yet`);
    if (current?.id === request.chunk)
      throw refused('createTraceChunk', `chunk ${request.chunk} is current already`);
    if (request.overrideName !== undefined) checkComponent('trace chunk name', request.overrideName);
    const key = keyOf(holder.open, request.chunk);
    let chunk = this.#chunks.get(key);
    const rest = chunk === undefined ? this.#restOf(holder, request) : undefined;
    const state = {
      sessionPath: below(this.#outputPath, holder.path.join('/')),
      hasCurrent: current !== undefined,
      hasRotated: this.#hasRotated(holder),
    };
    const path = rest?.path ?? initialPath({ ...request, id: request.chunk }, state);
    // Only one chunk may own a directory: another one, that some stream has not left yet, makes room.
    const inTheWay = chunk === undefined ? this.#at(path.join('/'), holder) : undefined;
    for (const before of new Set([current, inTheWay])) {
      if (before === undefined || before.named || before.isOld || before.isArchived) continue;
      if (this.#at(oldChunk, holder) !== undefined)
        throw refused('createTraceChunk', 'the chunk before the current one is not complete yet');
      before.becomeOld();
    }
    if (chunk === undefined) {
      chunk = this.#make(holder, request, path, () => this.#chunks.delete(key), rest?.rest);
      this.#chunks.set(key, chunk);
    }
    chunk.acquire(holder);
    holder.awaitingClose = current;
    holder.current = chunk;
    return chunk;
  }

  /** Where the chunk of a session that goes on came to rest; undefined: it is a new one. */
  #restOf(holder: ChunkHolder, { chunk, creationTimeS, overrideName }: ChunkOpen) {
    if (holder.resumes !== true) return undefined;
    const session = holder.path.join('/');
    if (this.book.hasRotated(session)) {
      this.#rotated.add(sessionKey(holder.open));
      holder.hasRotated = true;
    }
    const name = birthName({ id: chunk, creationTimeS, overrideName });
    const rest = this.book.restOf(session, name);
    if (rest === undefined) return undefined;
    // One that was deleted is made again, out of the way, for whoever has not heard of its end.
    if (rest.place === undefined) return { path: [name], rest: undefined };
    return { path: rest.place === '' ? [] : rest.place.split('/'), rest };
  }

  /** CREATE_SESSION with a current chunk: another consumer of the session has made it. Returns whether it exists. */
  join(holder: ChunkHolder, id: bigint): boolean {
    const chunk = this.find(holder, id);
    chunk?.acquire(holder);
    holder.current = chunk;
    return chunk !== undefined;
  }

  /**
   * CLOSE_TRACE_CHUNK. Returns the path that the producer is told, relative to the output directory; as with
   * lttng-relayd it is the archive's whatever the action, and the session's before the first rotation.
   * Errors: MR_ERR_RELAY_CHUNK_UNKNOWN, MR_ERR_RELAY_CHUNK, MR_ERR_DISK_CREATE.
   */
  close(holder: ChunkHolder, { chunk: id, closeTimeS, action }: ChunkDone): string {
    const chunk = this.find(holder, id);
    if (chunk === undefined)
      throw new MillraceError('MR_ERR_RELAY_CHUNK_UNKNOWN', { command: 'closeTraceChunk', chunk: id });
    const { current, awaitingClose } = holder;
    if (awaitingClose !== undefined && awaitingClose !== chunk)
      throw refused('closeTraceChunk', `chunk ${awaitingClose.id} is to be closed first`);
    const hasRotated = this.#hasRotated(holder);
    if (current !== undefined && current !== chunk) current.settle(action === 'delete' && !hasRotated);
    if (action === 'none') chunk.settle(!hasRotated);
    chunk.close(closeTimeS, action);
    const base = holder.path.join('/');
    const path = holder.open.snapshot
      ? `${base}/${chunk.name}`
      : holder.hasRotated
        ? `${base}/archives/${chunk.name}`
        : base;
    if (action === 'moveToCompleted') {
      holder.hasRotated = true;
      this.#rotated.add(sessionKey(holder.open));
    }
    if (current === chunk) holder.current = undefined;
    holder.awaitingClose = undefined;
    chunk.release(holder);
    if (chunk.users > 0) this.#journal.settle();
    return path;
  }

  /** A relay session is gone; `others` are those that stay. */
  release(holder: ChunkHolder, others: readonly ChunkHolder[]): void {
    const { current, awaitingClose } = holder;
    holder.current = holder.awaitingClose = undefined;
    current?.release(holder);
    awaitingClose?.release(holder);
    const key = sessionKey(holder.open);
    if (!others.some(({ open }) => sessionKey(open) === key)) this.#rotated.delete(key);
  }

  #make(
    holder: ChunkHolder,
    {
      chunk,
      creationTimeS,
      overrideName,
    }: Pick<ChunkOpen, 'creationTimeS' | 'overrideName'> & { chunk: bigint | undefined },
    path: readonly string[],
    onUnused: () => void,
    rest?: ChunkRest,
  ): TraceChunk {
    const session = sessionKey(holder.open);
    const { hostname, sessionName } = holder.open;
    const origin = {
      outputPath: this.#outputPath,
      sessionPath: holder.path,
      session,
      journal: this.#journal,
      onComplete: (path: string) => {
        if (chunk !== undefined) this.#onComplete({ path, hostname, sessionName, id: chunk });
      },
      onUnused,
      rest,
      onRest: (name: string, now: ChunkRest) => this.book.rested(holder.path.join('/'), name, now),
    };
    return new TraceChunk({ ...origin, id: chunk, creationTimeS, overrideName }, path);
  }
}

/** Never the relay's own session id where the sessiond's is known: the consumers of a session must agree. */
function sessionKey(open: SessionOpen): string {
  return open.idSessiond === undefined ? `relay ${open.session}` : `${open.sessiondUuid} ${open.idSessiond}`;
}

function keyOf(open: SessionOpen, id: bigint): string {
  return `${sessionKey(open)} ${id}`;
}

function refused(command: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_RELAY_CHUNK', { command, why });
}
