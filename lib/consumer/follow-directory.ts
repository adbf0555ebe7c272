/**
 * Follows a directory that others are writing, in this process or another, on this host or behind a shared file
 * system: it is looked at again and again, for not every file system tells of changes. Where the writer keeps locks
 * (`lib/disk/committed-file.ts`), nothing is read before it is committed, and it is known when the writing ends.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { findTraces } from '../disk/verify/find-traces.ts';
import { MillraceError } from '../errors.ts';
import type { FrameBatch } from '../stage/batch.ts';
import { FollowSession } from './follow-session.ts';
import { layoutOf, type SessionLayout } from './session-layout.ts';
import type { SourceContext } from './session-reader.ts';

/** How often it is looked for new files, milliseconds. */
const lookMs = 250;
/** Pauses between two rounds over the files that are known, milliseconds: short while something comes. */
const shortestMs = 2;
const longestMs = 100;

/**
 * Everything in the directory and everything that comes, until nobody writes and nothing has come for `idleMs`.
 * Sessions pass side by side. Errors: MR_ERR_CONSUMER_NO_TRACE when there was nothing to the end, MR_ERR_DISK_READ,
 * MR_ERR_DISK_CHANGED when somebody cuts what was committed, the signal's reason.
 */
export async function* followDirectory(
  context: SourceContext,
  idleMs: number,
): AsyncGenerator<FrameBatch, void> {
  const { root, slabs } = context;
  const sessions = new Map<string, Followed>();
  let lookedMs = Number.NEGATIVE_INFINITY;
  let movedMs = performance.now();
  let pauseMs = shortestMs;
  let opened = false;
  try {
    for (;;) {
      if (performance.now() - lookedMs >= lookMs) {
        await look(context, sessions);
        lookedMs = performance.now();
      }
      let moved = false;
      for (const followed of sessions.values()) {
        const { session, hasEnded } = followed;
        if (hasEnded) continue;
        for await (const batch of session.round()) {
          moved = true;
          followed.movedMs = performance.now();
          yield batch;
        }
        if (session.isGrowing) followed.movedMs = performance.now();
        opened ||= session.opened;
        movedMs = Math.max(movedMs, followed.movedMs);
        if (performance.now() - followed.movedMs < idleMs) continue;
        followed.hasEnded = true;
        yield* session.finish();
        await session.close();
      }
      if (performance.now() - movedMs >= idleMs) break;
      pauseMs = moved ? shortestMs : Math.min(pauseMs * 2, longestMs);
      if (!moved)
        await delay(pauseMs, undefined, { signal: slabs.signal }).catch(() => slabs.signal.throwIfAborted());
    }
  } finally {
    for (const { session } of sessions.values()) await session.close();
  }
  if (opened) return;
  throw new MillraceError('MR_ERR_CONSUMER_NO_TRACE', {
    path: root,
    why: `nothing that can be read came within ${idleMs} ms`,
  });
}

/** A session, and when something of it moved last. */
interface Followed {
  session: FollowSession;
  movedMs: number;
  hasEnded: boolean;
}

async function look(context: SourceContext, sessions: Map<string, Followed>): Promise<void> {
  const { root } = context;
  let layouts: SessionLayout[];
  try {
    layouts = layoutOf((await findTraces(root)).traces, root);
    for (const layout of layouts) {
      let followed = sessions.get(layout.path);
      if (followed === undefined) {
        const session = new FollowSession(layout.path, context);
        followed = { session, movedMs: performance.now(), hasEnded: false };
        sessions.set(layout.path, followed);
      }
      if (!followed.hasEnded) await followed.session.update(layout);
    }
  } catch (error) {
    // It is not there yet, or a directory was renamed in this moment: the next look will tell.
    if (error instanceof MillraceError && isGone(error.cause)) return;
    throw error;
  }
  for (const [path, { session, hasEnded }] of sessions)
    if (!hasEnded && !layouts.some((layout) => layout.path === path))
      await session.update({ path, chunks: [] });
}

function isGone(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
