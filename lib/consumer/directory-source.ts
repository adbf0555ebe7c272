/**
 * A CTF directory as frames, finished or growing: LTTng's sessions with their trace chunks and rings of tracefiles, and any other
 * CTF trace of packets, with index files or without. What somebody still writes is read as far as it is committed.
 *
 * Sessions come one after the other; in a session chunk after chunk, metadata before data, the packets of all streams
 * in the order of their times. A stream that goes on in the next chunk goes over to it with `switch`.
 */
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { findTraces } from '../disk/verify/find-traces.ts';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import { openRangeLocks, type RangeLocks } from '../os/range-locks.ts';
import type { FrameBatch } from '../stage/batch.ts';
import type { SessionOpen } from '../stage/frames.ts';
import { generatedSource } from '../stage/generated-source.ts';
import type { SessionNames } from '../stage/session-facts.ts';
import { SlabPool } from '../stage/slab.ts';
import { tell } from '../telemetry.ts';
import { followDirectory } from './follow-directory.ts';
import { layoutOf } from './session-layout.ts';
import { SessionReader, type SourceContext } from './session-reader.ts';

/** See `directorySource`. */
export interface DirectorySourceOptions extends SessionNames {
  /** A trace, a trace chunk, a session, or an output directory with many of them. */
  path: string;
  /** Slabs that packets are read into; default: a pool of `limits.slabsPerSession`. */
  pool?: SlabPool;
  /** Longest time between two sync beacons while packets flow, milliseconds; 1000 by default. */
  syncIntervalMs?: number;
  /** Whether to go on with what others are writing there: see `followDirectory`. */
  follow?: boolean;
  /**
   * With `follow`: it ends when nobody holds a lock on any file and nothing has come for so long, milliseconds. Default
   * 5000; Infinity: never of its own accord.
   */
  idleMs?: number;
  /** Default: those of the system. `none`: everything in a file counts as committed. */
  locks?: RangeLocks | 'none';
  /** Told of what cannot be read, MR_ERR_CONSUMER_DAMAGE: everything else is delivered all the same. */
  damaged?: (error: MillraceError) => void;
  /** Ends the source with its reason. */
  signal?: AbortSignal;
}

/**
 * A Readable of FrameBatch in the order of the grammar. A packet larger than a slab comes in parts. Numbers
 * (`netSeqNum`) begin with 0 in each stream. A session in which something is damaged ends with `abort`.
 *
 * Errors: MR_ERR_CONSUMER_NO_TRACE where there is nothing to be read, MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED when files
 * go away meanwhile, the signal's reason.
 */
export function directorySource(options: DirectorySourceOptions): Readable {
  return generatedSource('directory', (gone) => {
    const { signal } = options;
    return framesOf(options, signal === undefined ? gone : AbortSignal.any([gone, signal]));
  });
}

async function* framesOf(
  options: DirectorySourceOptions,
  signal: AbortSignal,
): AsyncGenerator<FrameBatch, void> {
  const { path, locks, syncIntervalMs = 1000 } = options;
  const root = resolve(path);
  const pool = options.pool ?? new SlabPool({ slabs: limits.slabsPerSession });
  let handles = 0;
  const context: SourceContext = {
    root,
    names: options,
    slabs: { pool, quota: pool.quota(), signal },
    locks: locks === 'none' ? undefined : (locks ?? openRangeLocks()),
    syncIntervalMs,
    distinct: distinctNames(),
    handle: () => {
      handles += 1;
      return handles;
    },
    damaged(error) {
      tell('error', 'consumer:damage', error.message, error.facts, error.code);
      options.damaged?.(error);
    },
  };
  if (options.follow === true) yield* followDirectory(context, options.idleMs ?? 5000);
  else yield* readDirectory(context);
}

/**
 * Sinks make directories of names: two sessions that are called alike, as copies of one trace are, would become one. The
 * second of them is `NAME-2`, and so on.
 */
function distinctNames(): SourceContext['distinct'] {
  const given = new Set<string>();
  const keyOf = ({ hostname, creationTimeS }: SessionOpen, name: string) =>
    [hostname, name, creationTimeS].join('\0');
  return (open) => {
    let { sessionName } = open;
    for (let n = 2; given.has(keyOf(open, sessionName)); n += 1) sessionName = `${open.sessionName}-${n}`;
    given.add(keyOf(open, sessionName));
    return { ...open, sessionName };
  };
}

/** Every session that is there, one after the other. */
async function* readDirectory(context: SourceContext): AsyncGenerator<FrameBatch, void> {
  const { root } = context;
  const found = await findTraces(root);
  for (const bare of found.withoutMetadata)
    context.damaged(
      new MillraceError('MR_ERR_CONSUMER_DAMAGE', {
        path: bare === '' ? root : bare,
        why: 'packets without metadata',
      }),
    );
  let sessions = 0;
  for (const layout of layoutOf(found.traces, root)) {
    const reader = new SessionReader(layout, context);
    yield* reader.batches();
    if (reader.opened) sessions += 1;
  }
  if (sessions > 0) return;
  const why =
    found.traces.length === 0 ? 'no directory in it has metadata' : 'its errors were told one by one';
  throw new MillraceError('MR_ERR_CONSUMER_NO_TRACE', { path: root, why });
}
