import { cpSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { FollowSession } from '../../lib/consumer/follow-session.ts';
import { layoutOf } from '../../lib/consumer/session-layout.ts';
import { findTraces } from '../../lib/disk/verify/find-traces.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { SlabPool } from '../../lib/stage/slab.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { fixture } from '../helpers/traces.ts';

test('a chunk that is moved away in the moment in which it is entered is found where it is then', async (t) => {
  const root = temporaryDirectory(t);
  cpSync(fixture('captures/two-rounds/oracle'), root, { recursive: true });
  const layouts = async () => layoutOf((await findTraces(root)).traces, root);
  const [before] = await layouts();
  if (before === undefined) throw new Error('no session in the recording');
  const pool = new SlabPool();
  let handles = 0;
  const session = new FollowSession(before.path, {
    root,
    names: {},
    slabs: { pool, quota: pool.quota(4), signal: new AbortController().signal },
    locks: openRangeLocks(),
    syncIntervalMs: 1000,
    distinct: (open) => open,
    handle: () => (handles += 1),
    damaged: (error) => t.fail(error.message),
  });
  t.teardown(() => session.close());
  let frames = 0;
  const round = async () => {
    for await (const batch of session.round()) {
      frames += batch.frames.length;
      batch.slab?.release();
    }
  };

  await session.update(before);
  const old = join(root, before.path);
  renameSync(join(old, 'ust'), join(root, 'elsewhere'));
  await round();
  t.false(session.opened);
  renameSync(join(root, 'elsewhere'), join(old, 'ust'));
  for (let looks = 0; looks < 4; looks += 1) {
    await session.update((await layouts())[0] ?? { path: before.path, chunks: [] });
    await round();
  }
  t.true(session.opened);
  t.true(frames > 3);
});
