/** What a start after a kill costs: counted in calls to the file system, since times say little on a busy machine. */
import { spawnSync } from 'node:child_process';
import fs, { cpSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { recover } from '../../lib/disk/recover.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';

const child = fileURLToPath(new URL('kill/store-child.js', import.meta.url));

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Names of the synchronous calls of `node:fs` that `act` makes, and the entries of directories that it reads. */
function callsOf(act: () => void): { calls: string[]; entries: number } {
  const original = Object.fromEntries(Object.entries(fs).filter(([name]) => name.endsWith('Sync')));
  const calls: string[] = [];
  let entries = 0;
  for (const [name, call] of Object.entries(original)) {
    if (typeof call !== 'function') continue;
    const counted = (...args: unknown[]): unknown => {
      calls.push(name);
      const result = Reflect.apply(call, fs, args) as unknown;
      if (Array.isArray(result)) entries += result.length;
      return result;
    };
    Object.assign(fs, { [name]: counted });
  }
  syncBuiltinESMExports();
  try {
    act();
  } finally {
    Object.assign(fs, original);
    syncBuiltinESMExports();
  }
  return { calls, entries };
}

test('a start after a kill makes the same calls whether 100,000 other files are there or none', (t) => {
  const small = temporary(t);
  const { signal } = spawnSync(process.execPath, [child, small, '3', '270'], {
    env: { ...process.env, TZ: 'UTC' },
  });
  t.is(signal, 'SIGKILL');
  const archives = 'vm/main-20231114-221320/archives';
  mkdirSync(join(small, archives), { recursive: true });
  const [large, warm] = [temporary(t), temporary(t)];
  for (const copy of [large, warm]) cpSync(small, copy, { recursive: true });
  // beside the session, beside its host, and among its own archives
  for (const [place, count] of [
    [join(large, 'vm'), 40],
    [large, 40],
    [join(large, archives), 20],
  ] as const)
    for (let directory = 0; directory < count; directory += 1) {
      const path = join(place, `other-${directory}`);
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, 'ch_0'), 'packets');
      for (let file = 1; file < 1000; file += 1) linkSync(join(path, 'ch_0'), join(path, `ch_${file}`));
    }
  const locks = openRangeLocks();
  // what Node loads when it first removes a file would keep the counting functions
  recover(warm, locks);
  const few = callsOf(() => t.true(recover(small, locks).chunks.length > 0));
  const many = callsOf(() => t.true(recover(large, locks).chunks.length > 0));
  t.true(few.calls.length > 0);
  t.deepEqual(many, few);
});
