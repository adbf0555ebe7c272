/**
 * What the facts of a journal amount to: the files that are open, the trace chunks that live and what is to become
 * of them, the sessions and streams. The relay's own journal keeps one to rewrite itself from, recovery makes one
 * from what a dead relay left.
 */
import type { Frame, SessionOpen } from '../stage/frames.ts';
import { isTemporary } from './chunk-places.ts';
import { decodeFrame, encodeFrame, type LogBody } from './frame-codec.ts';
import {
  type ChunkClosed,
  type ChunkMade,
  decodeFact,
  encodeFact,
  type Fact,
  type FileOpened,
} from './journal-facts.ts';
import type { LogRecord } from './log-parser.ts';

/** A file that is being written. */
export interface JournalFile {
  opened: FileOpened;
  /** End of what is whole, where the journal says so: metadata, and data without index. */
  committedBytes: number;
}

/** A trace chunk that somebody uses. */
export interface JournalChunk {
  /** Where it is now. */
  made: ChunkMade;
  /** Directories made in it, relative to it. */
  readonly directories: Set<string>;
  /** Files in it, open or closed, by path: the last of each name. */
  readonly files: Map<string, FileOpened>;
  /** Where it is going, if that has begun. */
  movingTo: string | undefined;
  closed: ChunkClosed | undefined;
}

/** Frames that open or close something; others are of no use to a journal. */
type OpenFrame = Extract<Frame, { kind: 'sessionOpen' | 'streamOpen' | 'chunkOpen' }>;

/** See the file's head. */
export class JournalState {
  readonly files = new Map<number, JournalFile>();
  readonly chunks = new Map<number, JournalChunk>();
  readonly #frames = new Map<string, OpenFrame>();

  /** Takes a fact. */
  take(fact: Fact): void {
    if (fact.kind === 'fileOpened') {
      this.files.set(fact.file, { opened: fact, committedBytes: 0 });
      this.chunks.get(fact.chunk)?.files.set(fact.path, fact);
    } else if (fact.kind === 'fileCommitted') {
      const file = this.files.get(fact.file);
      if (file !== undefined) file.committedBytes = fact.committedBytes;
    } else if (fact.kind === 'fileClosed') this.files.delete(fact.file);
    else if (fact.kind === 'chunkMade') {
      const nothingYet = { directories: new Set<string>(), files: new Map<string, FileOpened>() };
      this.chunks.set(fact.chunk, { made: fact, ...nothingYet, movingTo: undefined, closed: undefined });
    } else if (fact.kind === 'chunkGone') this.chunks.delete(fact.chunk);
    else {
      const chunk = this.chunks.get(fact.chunk);
      if (chunk === undefined) return;
      if (fact.kind === 'chunkDirectory') chunk.directories.add(fact.path);
      else if (fact.kind === 'moveBegun') chunk.movingTo = fact.to;
      else if (fact.kind === 'moveDone') moved(chunk);
      else chunk.closed = fact;
    }
  }

  /** Takes a frame; returns its fact, or undefined for a frame that opens and closes nothing. */
  frame(frame: Frame): LogBody | undefined {
    switch (frame.kind) {
      case 'sessionOpen':
        this.#frames.set(`session ${frame.session}`, frame);
        break;
      case 'streamOpen':
        this.#frames.set(`stream ${frame.stream}`, frame);
        break;
      case 'chunkOpen':
        this.#frames.set(`chunk ${frame.session} ${frame.chunk}`, frame);
        break;
      case 'sessionEnd':
        for (const [key, { session }] of this.#frames)
          if (session === frame.session) this.#frames.delete(key);
        break;
      case 'streamEnd':
        this.#frames.delete(`stream ${frame.stream}`);
        break;
      case 'chunkDone':
        this.#frames.delete(`chunk ${frame.session} ${frame.chunk}`);
        break;
      default:
        return undefined;
    }
    return encodeFrame(frame, undefined);
  }

  /** Sessions that had not ended. */
  *sessions(): Generator<SessionOpen> {
    for (const frame of this.#frames.values()) if (frame.kind === 'sessionOpen') yield frame;
  }

  /** The number that a producer gave a chunk with a name of its own, unless it has closed it. */
  idOfNamed(session: number, name: string): bigint | undefined {
    for (const frame of this.#frames.values())
      if (frame.kind === 'chunkOpen' && frame.session === session && frame.overrideName === name)
        return frame.chunk;
    return undefined;
  }

  /** Takes a record that was read. Throws MR_ERR_WIRE_* for one that does not fit its layout. */
  replay(record: LogRecord): void {
    const fact = decodeFact(record);
    if (fact !== undefined) {
      this.take(fact);
      return;
    }
    const frame = decodeFrame(record);
    if (frame !== undefined) this.frame(frame);
  }

  /** The facts that still matter, in an order in which they can be replayed. */
  *facts(): Generator<LogBody> {
    for (const frame of this.#frames.values()) yield encodeFrame(frame, undefined);
    for (const fact of this.#facts()) yield encodeFact(fact);
  }

  *#facts(): Generator<Fact> {
    for (const [chunk, { made, directories, files, movingTo, closed }] of this.chunks) {
      yield made;
      for (const path of directories) yield { kind: 'chunkDirectory', chunk, path };
      for (const opened of files.values()) {
        if (this.files.has(opened.file)) continue;
        yield opened;
        yield { kind: 'fileClosed', file: opened.file };
      }
      if (movingTo !== undefined) yield { kind: 'moveBegun', chunk, to: movingTo };
      if (closed !== undefined) yield closed;
    }
    for (const [file, { opened, committedBytes }] of this.files) {
      yield opened;
      if (committedBytes > 0) yield { kind: 'fileCommitted', file, committedBytes };
    }
  }
}

function moved(chunk: JournalChunk): void {
  const { made, movingTo } = chunk;
  if (movingTo === undefined) return;
  chunk.made = { ...made, path: movingTo, home: isTemporary(movingTo) ? made.home : movingTo };
  chunk.movingTo = undefined;
}
