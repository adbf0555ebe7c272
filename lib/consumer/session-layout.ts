/**
 * What lies where in a directory of traces, by the names of directories alone: sessions, their trace chunks, and the
 * traces in each. Source: relay-behaviour, "Output folders" and "Where a chunk lies"; lttng-sessiond lays local
 * sessions out the same way.
 *
 * A directory that follows none of these layouts is one session with one chunk, and its traces are where they are.
 */
import { basename } from 'node:path';
import type { FoundTrace } from '../disk/verify/find-traces.ts';
import { timeOfDate } from '../stage/session-facts.ts';

/** A trace in a chunk. */
export interface TraceLayout {
  /** Relative to the chunk; what a producer would call the stream path. */
  path: string;
  found: FoundTrace;
}

/** A period of a session. `path`: relative to the directory that was searched. */
export interface ChunkLayout {
  path: string;
  id: bigint;
  /** Seconds since 1970; undefined: its name does not say. */
  creationTimeS: bigint | undefined;
  /** Set for one that is in the archives. */
  closeTimeS: bigint | undefined;
  /** The name of a snapshot, which replaces all others. */
  overrideName: string | undefined;
  traces: TraceLayout[];
}

/** One session, with its chunks in the order in which they were made. */
export interface SessionLayout {
  path: string;
  chunks: ChunkLayout[];
}

/** Where one trace belongs. */
interface Place {
  session: string;
  chunk: string;
  trace: string;
}

const archived = /^(\d{8}T\d{6}[+-]\d{4})-(\d{8}T\d{6}[+-]\d{4})-(\d+)$/;
const named = /^(\d{8}T\d{6}[+-]\d{4})-(\d+)$/;
const snapshot = /^.+-\d{8}-\d{6}-(\d+)$/;
const domain = /^(ust|kernel)$/;
/** Chunks without a number, in the order in which they follow those that have one. */
const unnumbered = ['.tmp_old_chunk', '', '.tmp_new_chunk'];

/** Sorts what was found below `root` (its name is what a lone trace is called). */
export function layoutOf(found: readonly FoundTrace[], root: string): SessionLayout[] {
  const sessions = new Map<string, Map<string, TraceLayout[]>>();
  for (const trace of found) {
    const place = placeOf(trace.path);
    const chunks = sessions.get(place.session) ?? new Map<string, TraceLayout[]>();
    sessions.set(place.session, chunks);
    const traces = chunks.get(place.chunk) ?? [];
    chunks.set(place.chunk, traces);
    traces.push({ path: place.trace === '' ? loneTracePath(root) : place.trace, found: trace });
  }
  return [...sessions].map(([path, chunks]) => ({ path, chunks: chunksOf(path, chunks) }));
}

/** Components up to the first that LTTng gives a meaning are the session's, those from the domain on the trace's. */
function placeOf(path: string): Place {
  const parts = path === '' ? [] : path.split('/');
  const at = parts.findIndex((part) => isChunk(part) || part === 'archives' || domain.test(part));
  if (at < 0) return { session: '', chunk: '', trace: path };
  const session = parts.slice(0, at).join('/');
  const chunk = parts[at] === 'archives' ? parts.slice(at, at + 2) : parts.slice(at, at + 1);
  if (domain.test(parts[at] as string)) return { session, chunk: '', trace: parts.slice(at).join('/') };
  return { session, chunk: chunk.join('/'), trace: parts.slice(at + chunk.length).join('/') };
}

function isChunk(name: string): boolean {
  return archived.test(name) || named.test(name) || snapshot.test(name) || isTemporary(name);
}

function isTemporary(name: string): boolean {
  return name !== '' && unnumbered.includes(name);
}

/** A trace's own directory was given: what it is called in its session, if that can be seen, or its own name. */
function loneTracePath(root: string): string {
  const parts = root.split('/').filter((part) => part !== '');
  const at = parts.findLastIndex((part) => domain.test(part));
  // `ust/uid/0/64-bit`, `ust/pid/NAME`, `kernel`
  return at < 0 || parts.length - at > 4 ? basename(root) : parts.slice(at).join('/');
}

function chunksOf(session: string, chunks: ReadonlyMap<string, TraceLayout[]>): ChunkLayout[] {
  const layouts = [...chunks].map(([place, traces]) => chunkOf(place, session, traces));
  layouts.sort((a, b) => a.rank - b.rank || (a.layout.path < b.layout.path ? -1 : 1));
  let next = 0n;
  for (const { layout, number } of layouts) {
    layout.id = number !== undefined && number >= next ? number : next;
    next = layout.id + 1n;
  }
  return layouts.map(({ layout }) => layout);
}

/** A chunk, whose id is still to be known, and what it is sorted by. */
function chunkOf(place: string, session: string, traces: TraceLayout[]) {
  const name = basename(place);
  const [, created, closed, archiveNumber] = archived.exec(name) ?? [];
  const [, begun, plainNumber] = named.exec(name) ?? [];
  const snapshotNumber = snapshot.exec(name)?.[1];
  const digits = archiveNumber ?? plainNumber ?? snapshotNumber;
  const number = digits === undefined ? undefined : BigInt(digits);
  const creation = created ?? begun;
  const layout: ChunkLayout = {
    path: [session, place].filter((part) => part !== '').join('/'),
    id: 0n,
    creationTimeS: creation === undefined ? undefined : timeOfDate(creation),
    closeTimeS: closed === undefined ? undefined : timeOfDate(closed),
    overrideName: snapshotNumber !== undefined && creation === undefined ? name : undefined,
    traces,
  };
  // Numbered chunks by their number, the others behind them.
  const rank = number === undefined ? 2 ** 53 + unnumbered.indexOf(place) * 4 : Number(number);
  return { layout, number, rank };
}
