/**
 * What becomes of the trace chunks of a relay that died. Nobody will ever go on with them: its producers are gone,
 * and new sessions get new chunks. So each chunk is finished: a rename that had begun is done, then what its
 * producer had asked for (to the archives, or deletion). A chunk of which nothing was asked leaves `.tmp_old_chunk`
 * or `.tmp_new_chunk` as if it had been closed without a command: for the session's own directory if it came from
 * there, else for its name. Nothing here minds being done twice.
 */
import { existsSync, renameSync } from 'node:fs';
import { why } from '../errors.ts';
import type { SessionOpen } from '../stage/frames.ts';
import { tell } from '../telemetry.ts';
import {
  archives,
  below,
  deleteChunk,
  isTemporary,
  moveChunk,
  removeEmptyTree,
  restingPlace,
  topOf,
} from './chunk-places.ts';
import type { CompleteChunk } from './chunk-registry.ts';
import { makeDirectory } from './directories.ts';
import type { JournalChunk, JournalState } from './journal-state.ts';
import type { ResumeBook } from './resume-book.ts';
import { sessionPath } from './session-path.ts';

/** What was done with a chunk. Paths are relative to the output directory. */
export interface ChunkOutcome {
  from: string;
  /** Where it lies now, or what others had put into it; undefined: nothing is left of it. */
  to: string | undefined;
  /** Its files were deleted, as its producer had asked, or it had none. */
  deleted: boolean;
}

/** A chunk that is complete, and where it lay before recovery was done with it. */
export interface ChunkToTell extends Omit<CompleteChunk, 'path'> {
  from: string;
}

/** Where a chunk's directory lies, relative to the output directory. */
export function placeOf({ made }: JournalChunk): string {
  return below(made.sessionPath, made.path);
}

/** A journal is our own file, and yet nothing outside the output directory may be touched on its word. */
export function isInside(path: string): boolean {
  return !path.startsWith('/') && !path.split('/').includes('..');
}

/** The top-level ones of the directories that a chunk made. */
function topsOf(directories: Iterable<string>): Set<string> {
  const tops = new Set([...directories].filter(isInside).map(topOf));
  tops.delete('');
  return tops;
}

/** Does the rest of renames that had begun, and forgets chunks whose places are none. Errors are told. */
export function finishMoves(outputPath: string, state: JournalState): void {
  for (const [id, chunk] of state.chunks) {
    const { made, movingTo, closed } = chunk;
    const places = [made.sessionPath, made.path, made.home, made.name, movingTo, closed?.archive];
    if (!places.every((path) => isInside(path ?? ''))) {
      state.take({ kind: 'chunkGone', chunk: id });
      continue;
    }
    if (movingTo === undefined) continue;
    try {
      move(outputPath, chunk, movingTo);
    } catch (error) {
      tellFailed(chunk, error);
    }
    state.take({ kind: 'moveDone', chunk: id });
  }
}

/** Does with each chunk what was to become of it. Errors are told. */
export function finishChunks(outputPath: string, state: JournalState): ChunkOutcome[] {
  const outcomes: ChunkOutcome[] = [];
  for (const chunk of state.chunks.values()) {
    try {
      const outcome = finish(outputPath, chunk);
      if (outcome === undefined) continue;
      outcomes.push(outcome);
      tell('warn', 'disk:recovery', inWords(outcome), { ...outcome });
    } catch (error) {
      tellFailed(chunk, error);
    }
  }
  return outcomes;
}

/**
 * The chunks that recovery leaves complete, as a living relay would have told of them (`ChunkRegistry`): before
 * `finishChunks` does with them what was asked for. Those of producers before 2.11, and what cannot be told whose it
 * is, are left out.
 */
export function chunksToTell(outputPath: string, state: JournalState): ChunkToTell[] {
  const sessions = sessionsByPath(state);
  return [...state.chunks.values()].flatMap((chunk) => {
    const { made, closed, files } = chunk;
    const session = sessions.get(made.sessionPath);
    if (closed?.action === 'delete' || session === undefined) return [];
    const name = closed === undefined ? made.name : closed.archive;
    const id = state.idOfNamed(session.session, made.name) ?? numberIn(name);
    const root = below(outputPath, placeOf(chunk));
    const holdsFile = [...files.values()].some(({ path }) => isInside(path) && existsSync(below(root, path)));
    if (id === undefined || (closed?.action !== 'moveToCompleted' && !holdsFile)) return [];
    const { hostname, sessionName } = session;
    return [{ from: placeOf(chunk), hostname, sessionName, id }];
  });
}

/** Where each chunk rests now, for sessions that may be taken up again; after `finishChunks`. */
export function noteRests(state: JournalState, outcomes: readonly ChunkOutcome[], book: ResumeBook): void {
  for (const chunk of state.chunks.values()) {
    const { made, directories } = chunk;
    const outcome = outcomes.find(({ from }) => from === placeOf(chunk));
    const tops = [...topsOf(directories)];
    if (outcome === undefined) book.rested(made.sessionPath, made.name, { place: made.path, tops });
    else if (outcome.to === undefined || outcome.deleted) book.rested(made.sessionPath, made.name, { tops });
    else {
      const place = outcome.to.slice(made.sessionPath === '' ? 0 : made.sessionPath.length + 1);
      book.rested(made.sessionPath, made.name, { place, tops });
    }
  }
}

/** Whose directory each is, whichever way the relay grouped them. */
function sessionsByPath(state: JournalState): Map<string, SessionOpen> {
  const found = new Map<string, SessionOpen>();
  for (const open of state.sessions()) {
    if (open.idSessiond === undefined) continue;
    try {
      for (const grouping of ['host', 'session'] as const)
        found.set(sessionPath(open, grouping).join('/'), open);
    } catch (error) {
      // The journal says what no relay of ours would have taken.
      tell('warn', 'disk:recovery', `a session in the journal: ${why(error)}`, {});
    }
  }
  return found;
}

/** `7` of `archives/20231114T221320+0000-20231114T221330+0000-7`. */
function numberIn(name: string): bigint | undefined {
  const digits = /\d{8}T\d{6}[+-]\d{4}-(\d+)$/.exec(name)?.[1];
  return digits === undefined ? undefined : BigInt(digits);
}

function finish(outputPath: string, chunk: JournalChunk): ChunkOutcome | undefined {
  const { made, closed, directories, files } = chunk;
  const from = placeOf(chunk);
  const tops = topsOf(directories);
  const root = below(outputPath, from);
  if (closed?.action === 'delete') {
    const paths = [...files.values()].flatMap(({ path, indexPath }) => [path, indexPath ?? path]);
    deleteChunk(root, paths.filter(isInside), tops, made.path !== '');
    const foreign = isTemporary(made.path) && existsSync(root);
    return { from, to: foreign ? rest(outputPath, chunk, tops) : undefined, deleted: true };
  }
  if (closed?.action === 'moveToCompleted') {
    makeDirectory(below(outputPath, below(made.sessionPath, archives)));
    move(outputPath, chunk, closed.archive);
    const to = below(made.sessionPath, closed.archive);
    tell('info', 'disk:chunk-done', `trace chunk ${to} is complete`, { path: to });
    return { from, to, deleted: false };
  }
  if (!isTemporary(made.path) || !existsSync(root)) return undefined;
  removeEmptyTree(root);
  if (!existsSync(root)) return { from, to: undefined, deleted: true };
  return { from, to: rest(outputPath, chunk, tops), deleted: false };
}

function inWords({ from, to, deleted }: ChunkOutcome): string {
  if (!deleted) return `trace chunk ${from} is now ${to}`;
  return `trace chunk ${from} deleted${to === undefined ? '' : `, what others put there is now in ${to}`}`;
}

/** Moves a chunk that stays out of its temporary place. Returns where it is then. */
function rest(outputPath: string, chunk: JournalChunk, tops: Set<string>): string {
  const { made } = chunk;
  const place = restingPlace(below(outputPath, made.sessionPath), made.path, made, tops);
  move(outputPath, chunk, place);
  return below(made.sessionPath, place);
}

/** Moves what of the chunk has not been moved yet. Throws what the system says. */
function move(outputPath: string, { made, directories }: JournalChunk, to: string): void {
  const session = below(outputPath, made.sessionPath);
  if (made.path === to || !existsSync(below(session, made.path))) return;
  moveChunk(session, made.path, to, topsOf(directories), (source, target) => {
    if (existsSync(source)) renameSync(source, target);
  });
}

function tellFailed(chunk: JournalChunk, error: unknown): void {
  const path = placeOf(chunk);
  tell('error', 'disk:recovery', `trace chunk ${path} cannot be finished: ${why(error)}`, { path });
}
