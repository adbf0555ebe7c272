import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { openRangeLocks, type RangeLocks } from '../../lib/os/range-locks.ts';

/** A file of 64 KiB, opened for reading and writing as often as asked. */
function file(t: ExecutionContext, descriptors: number): { path: string; fds: number[] } {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-locks-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'data');
  writeFileSync(path, Buffer.alloc(65_536));
  const fds = Array.from({ length: descriptors }, () => openSync(path, 'r+'));
  return { path, fds };
}

function locksOf(): RangeLocks {
  const locks = openRangeLocks();
  if (locks === undefined) throw new Error('koffi is not installed');
  return locks;
}

/** Another process that does with its own descriptor what it is told; answers are awaited one by one. */
async function otherProcess(t: ExecutionContext, path: string) {
  const child: ChildProcess = fork(new URL('lock-child.js', import.meta.url), [path]);
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'message');
  const ask = async (...command: [string, ...unknown[]]): Promise<unknown> => {
    const answer = once(child, 'message');
    child.send(command);
    const [value] = (await answer) as [unknown];
    return value;
  };
  return { ask, child };
}

test('a range held by another process is refused, one beside it is granted', async (t) => {
  const locks = locksOf();
  const { path, fds } = file(t, 1);
  const other = await otherProcess(t, path);
  const fd = fds[0] as number;
  t.is(await other.ask('tryLock', 'exclusive', 4096, 4096), true);
  t.false(locks.tryLock(fd, 'exclusive', 0, 8192));
  t.false(locks.tryLock(fd, 'shared', 8191, 1));
  t.true(locks.tryLock(fd, 'exclusive', 0, 4096));
  t.true(locks.tryLock(fd, 'shared', 8192, 0));
});

test('shared locks live together and keep an exclusive one out', async (t) => {
  const locks = locksOf();
  const { path, fds } = file(t, 1);
  const other = await otherProcess(t, path);
  t.is(await other.ask('tryLock', 'shared', 0, 100), true);
  t.true(locks.tryLock(fds[0] as number, 'shared', 50, 100));
  t.is(await other.ask('tryLock', 'exclusive', 50, 1), false);
});

test('query names the range that would refuse, as another process sees it', async (t) => {
  const locks = locksOf();
  const { path, fds } = file(t, 1);
  const other = await otherProcess(t, path);
  t.true(locks.tryLock(fds[0] as number, 'exclusive', 5000, 0));
  t.deepEqual(await other.ask('query', 'shared', 0, 0), {
    kind: 'exclusive',
    startBytes: 5000,
    lengthBytes: 0,
  });
  t.is(await other.ask('query', 'shared', 0, 5000), null);
});

test('unlocking a prefix leaves the rest locked, and no byte of the rest is ever free', async (t) => {
  const locks = locksOf();
  const { path, fds } = file(t, 1);
  const fd = fds[0] as number;
  t.true(locks.tryLock(fd, 'exclusive', 0, 0));
  const other = await otherProcess(t, path);
  const hunt = other.ask('hunt', 60_000);
  let safe = 0;
  while (safe < 59_000) {
    // many short unlocks while the other process tries for the tail without a pause
    for (let i = 0; i < 100; i += 1, safe += 10) locks.unlock(fd, safe, 10);
    await new Promise(setImmediate);
  }
  other.child.send(['stop']);
  const { tries, taken } = (await hunt) as { tries: number; taken: number };
  t.true(tries > 10);
  t.is(taken, 0);
  t.deepEqual(await other.ask('query', 'shared', 0, 0), {
    kind: 'exclusive',
    startBytes: safe,
    lengthBytes: 0,
  });
});

test('two descriptors in one process conflict', (t) => {
  const locks = locksOf();
  const { fds } = file(t, 2);
  const [a, b] = fds as [number, number];
  t.true(locks.tryLock(a, 'exclusive', 0, 10));
  t.false(locks.tryLock(b, 'shared', 9, 1));
  locks.unlock(a, 0, 10);
  t.true(locks.tryLock(b, 'shared', 9, 1));
});

test('closing another descriptor keeps the locks, closing the own one ends them', async (t) => {
  const locks = locksOf();
  const { path, fds } = file(t, 2);
  const [a, b] = fds as [number, number];
  const other = await otherProcess(t, path);
  t.true(locks.tryLock(a, 'exclusive', 0, 0));
  closeSync(b);
  t.is(await other.ask('tryLock', 'exclusive', 0, 1), false);
  closeSync(a);
  t.is(await other.ask('tryLock', 'exclusive', 0, 1), true);
});

test('a killed process leaves no lock', async (t) => {
  const locks = locksOf();
  const { path, fds } = file(t, 1);
  const other = await otherProcess(t, path);
  t.is(await other.ask('tryLock', 'exclusive', 0, 0), true);
  const gone = once(other.child, 'exit');
  other.child.kill('SIGKILL');
  await gone;
  t.true(locks.tryLock(fds[0] as number, 'exclusive', 0, 0));
});

test('lock waits until the holder lets go, and the event loop goes on', async (t) => {
  const locks = locksOf();
  const { path, fds } = file(t, 1);
  const other = await otherProcess(t, path);
  t.is(await other.ask('tryLock', 'exclusive', 0, 0), true);
  let granted = false;
  const waiting = locks.lock(fds[0] as number, 'shared', 100, 10).then(() => {
    granted = true;
  });
  t.is(await other.ask('query', 'shared', 0, 0), null);
  t.false(granted);
  await other.ask('unlock', 0, 0);
  await waiting;
  t.is(await other.ask('tryLock', 'exclusive', 105, 1), false);
});

test('lock is cancelled by its signal with the signal’s reason, and holds nothing then', async (t) => {
  const locks = locksOf();
  const { fds } = file(t, 3);
  const [a, b, c] = fds as [number, number, number];
  t.true(locks.tryLock(a, 'exclusive', 0, 0));
  const controller = new AbortController();
  const waiting = locks.lock(b, 'shared', 0, 10, { signal: controller.signal });
  const reason = new Error('enough');
  controller.abort(reason);
  t.is(await t.throwsAsync(waiting), reason);
  locks.unlock(a, 0, 0);
  t.true(locks.tryLock(c, 'exclusive', 0, 0));
});

test('anything but a refusal is an error with its cause: a closed descriptor, the wrong mode', (t) => {
  const locks = locksOf();
  const { path } = file(t, 0);
  const readOnly = openSync(path, 'r');
  t.teardown(() => closeSync(readOnly));
  const error = t.throws(() => locks.tryLock(readOnly, 'exclusive', 0, 1), { instanceOf: MillraceError });
  t.is(error?.code, 'MR_ERR_OS_LOCK');
  t.regex(error?.message ?? '', /EBADF/);
  t.throws(() => locks.unlock(-1, 0, 1), { code: 'MR_ERR_OS_LOCK' });
  t.throws(() => locks.query(readOnly, 'shared', -5, 1), { code: 'MR_ERR_OS_LOCK' });
});

test('without koffi there are no locks, and one line says so', async (t) => {
  const child = fork(new URL('no-native-child.js', import.meta.url), {
    env: { ...process.env, MILLRACE_NO_NATIVE: '1' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [report] = (await once(child, 'message')) as [{ locks: string; told: string[] }];
  t.deepEqual(report, { locks: 'undefined,undefined', told: ['warn os:no-locks'] });
});
