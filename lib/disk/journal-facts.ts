/** What a journal can say beside frames, as values; and those values as records of a frame log and back. */
import { narrow } from '../schema/index.ts';
import type { ChunkDone } from '../stage/frames.ts';
import { logKinds } from '../wire/frame-log.ts';
import * as bodies from '../wire/frame-log-bodies.ts';
import type { LogBody } from './frame-codec.ts';
import type { LogRecord } from './log-parser.ts';

export type FileRole = keyof typeof bodies.fileRoles;

/** A file that is being written. Paths are relative to its trace chunk. */
export interface FileOpened {
  kind: 'fileOpened';
  /** Number, never used again in one journal. */
  file: number;
  chunk: number;
  role: FileRole;
  path: string;
  /** Index file of a data file. */
  indexPath: string | undefined;
}

/** Metadata, and data without index: what is whole ends at `committedBytes`. */
export interface FileCommitted {
  kind: 'fileCommitted';
  file: number;
  committedBytes: number;
}

/** The file is as it should be. */
export interface FileClosed {
  kind: 'fileClosed';
  file: number;
}

/** A trace chunk is about to be made. `sessionPath` is relative to the output directory, the others to that. */
export interface ChunkMade {
  kind: 'chunkMade';
  /** Number, never used again in one journal. */
  chunk: number;
  sessionPath: string;
  /** Where its directory lies; empty: the session's directory is its own too. */
  path: string;
  /** Where it goes if nothing is to become of it. */
  home: string;
  /** A name that no other chunk of the session has. */
  name: string;
}

/** A directory is about to be made in a chunk, relative to that. */
export interface ChunkDirectory {
  kind: 'chunkDirectory';
  chunk: number;
  path: string;
}

/** A chunk is about to go to another place below its session: one rename, or several. */
export interface MoveBegun {
  kind: 'moveBegun';
  chunk: number;
  to: string;
}

export interface MoveDone {
  kind: 'moveDone';
  chunk: number;
}

/** What is to become of a chunk when it is complete; `archive`: where it would go, relative to the session. */
export interface ChunkClosed {
  kind: 'chunkClosed';
  chunk: number;
  action: ChunkDone['action'];
  archive: string;
}

/** Nothing more is to become of the chunk. */
export interface ChunkGone {
  kind: 'chunkGone';
  chunk: number;
}

/** Every fact that is no frame. */
export type Fact =
  | FileOpened
  | FileCommitted
  | FileClosed
  | ChunkMade
  | ChunkDirectory
  | MoveBegun
  | MoveDone
  | ChunkClosed
  | ChunkGone;

interface Codec<F> {
  encode(fact: F): Buffer;
  decode(body: Buffer): Omit<F, 'kind'>;
}

const codecs: { [K in Fact['kind']]: Codec<Extract<Fact, { kind: K }>> } = {
  fileOpened: {
    encode: (fact) => bodies.fileOpenedBody.encode({ ...fact, role: bodies.fileRoles[fact.role] }),
    decode(body) {
      const value = bodies.fileOpenedBody.decode(body);
      return { ...value, role: bodies.nameIn(bodies.fileRoles, value.role, 'file role') };
    },
  },
  fileCommitted: {
    encode: (fact) =>
      bodies.fileCommittedBody.encode({ ...fact, committedBytes: BigInt(fact.committedBytes) }),
    decode(body) {
      const { file, committedBytes } = bodies.fileCommittedBody.decode(body);
      return { file, committedBytes: narrow(committedBytes, 'committed bytes') };
    },
  },
  fileClosed: bodies.fileClosedBody,
  chunkMade: bodies.chunkMadeBody,
  chunkDirectory: bodies.chunkDirectoryBody,
  moveBegun: bodies.moveBegunBody,
  moveDone: bodies.moveDoneBody,
  chunkClosed: {
    encode: (fact) => bodies.chunkClosedBody.encode({ ...fact, action: bodies.chunkActions[fact.action] }),
    decode(body) {
      const value = bodies.chunkClosedBody.decode(body);
      return { ...value, action: bodies.nameIn(bodies.chunkActions, value.action, 'chunk action') };
    },
  },
  chunkGone: bodies.chunkGoneBody,
};

const kinds = Object.keys(codecs) as Fact['kind'][];
const byNumber = new Map<number, Fact['kind']>(kinds.map((kind) => [logKinds[kind], kind]));

/** The record of a fact. Throws MR_ERR_WIRE_* for a path that is too long. */
export function encodeFact(fact: Fact): LogBody {
  const codec = codecs[fact.kind] as Codec<Fact>;
  return { kind: fact.kind, parts: [codec.encode(fact)] };
}

/** The fact of a record; undefined for a record of another kind. Throws MR_ERR_WIRE_*. */
export function decodeFact({ kind: number, body }: Pick<LogRecord, 'kind' | 'body'>): Fact | undefined {
  const kind = byNumber.get(number);
  if (kind === undefined) return undefined;
  return { ...(codecs[kind] as Codec<Fact>).decode(body), kind } as Fact;
}
