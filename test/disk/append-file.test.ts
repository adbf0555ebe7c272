import { execFile } from 'node:child_process';
import { existsSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { AppendFile, padding } from '../../lib/disk/append-file.ts';
import type { MillraceError } from '../../lib/errors.ts';
import { openRangeLocks, type RangeLocks } from '../../lib/os/range-locks.ts';
import { pattern } from '../helpers/bytes.ts';
import { diskEnvironment, temporaryDirectory } from '../helpers/disk.ts';

const locks = openRangeLocks();
const modes = { 'at once': false, 'through the thread pool': true };

/** Resolves when the write is done, with its error. */
function append(file: AppendFile, ...ranges: Buffer[]): Promise<MillraceError | undefined> {
  const bytes = ranges.reduce((sum, { length }) => sum + length, 0);
  return new Promise((resolve) => file.append(ranges, bytes, resolve));
}

const closed = (file: AppendFile, wholeBytes?: () => number): Promise<void> =>
  new Promise((resolve) => file.close(wholeBytes, resolve));

/** Where the lock of the writer begins, as another program sees it. */
function lockedFrom(t: ExecutionContext, path: string): number | undefined {
  const fd = openSync(path, 'r');
  const lock = (locks as RangeLocks).query(fd, 'shared', 0, 0);
  if (lock !== undefined) t.is(lock.lengthBytes, 0, 'to the end of all files');
  return lock?.startBytes;
}

test('a file has its name only when its lock is held', (t) => {
  const directory = temporaryDirectory(t);
  const seen: string[][] = [];
  const watching: RangeLocks = {
    ...(locks as RangeLocks),
    tryLock: (...given) => {
      seen.push(readdirSync(directory));
      return (locks as RangeLocks).tryLock(...given);
    },
  };
  const file = new AppendFile(directory, 'f', diskEnvironment({ locks: watching }));
  t.is(seen.length, 1);
  t.deepEqual(
    seen[0]?.map((name) => name.startsWith('.millrace')),
    [true],
    'one hidden name',
  );
  t.deepEqual(readdirSync(directory), ['f']);
  t.is(lockedFrom(t, file.path), 0);
  file.close();
  t.is(lockedFrom(t, file.path), undefined);
});

test('a lock that is refused is gone without, and counted', async (t) => {
  const refusing: RangeLocks = { ...(locks as RangeLocks), tryLock: () => false };
  const env = diskEnvironment({ locks: refusing });
  const file = new AppendFile(temporaryDirectory(t), 'f', env);
  t.is(env.lockConflicts, 1);
  t.is(await append(file, pattern(8)), undefined);
  file.commit(8);
  t.deepEqual(readFileSync(file.path), pattern(8));
});

test('a directory that is not there is an error that says so, and leaves nothing', (t) => {
  const directory = temporaryDirectory(t);
  const env = diskEnvironment();
  t.throws(() => new AppendFile(`${directory}/missing`, 'f', env), { code: 'MR_ERR_DISK_CREATE' });
  t.is(env.open.size, 0);
  t.deepEqual(readdirSync(directory), []);
});

test('a file of that name is replaced: whoever has the old one open keeps it', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'f'), 'the old one');
  const reader = openSync(join(directory, 'f'), 'r');
  const file = new AppendFile(directory, 'f', diskEnvironment());
  await append(file, pattern(8));
  t.is(readFileSync(reader, 'utf8'), 'the old one');
  t.deepEqual(readFileSync(file.path), pattern(8));
});

test('files are 0660 less the umask', (t) => {
  const file = new AppendFile(temporaryDirectory(t), 'f', diskEnvironment());
  t.is(statSync(file.path).mode & 0o777, 0o660 & ~process.umask());
});

for (const [how, pooled] of Object.entries(modes)) {
  test(`${how}: what is appended lies in the file in its order, in any number of ranges`, async (t) => {
    const env = diskEnvironment({ pooled });
    const file = new AppendFile(temporaryDirectory(t), 'f', env);
    const many = Array.from({ length: 2500 }, (_, n) => pattern(1 + (n % 7), n));
    const writes = [append(file, pattern(100, 1)), append(file, ...many), append(file, pattern(50, 2))];
    t.is(env.bytesInFlight > 0, pooled);
    t.deepEqual(await Promise.all(writes), [undefined, undefined, undefined]);
    const want = Buffer.concat([pattern(100, 1), ...many, pattern(50, 2)]);
    t.deepEqual(readFileSync(file.path), want);
    t.is(file.writtenBytes, want.length);
    t.is(env.bytesInFlight, 0);
  });

  test(`${how}: a commit frees exactly what it adds, and never takes back`, async (t) => {
    const file = new AppendFile(temporaryDirectory(t), 'f', diskEnvironment({ pooled }));
    await append(file, pattern(100));
    t.is(lockedFrom(t, file.path), 0);
    file.commit(40);
    t.is(lockedFrom(t, file.path), 40);
    file.commit(30);
    t.is(lockedFrom(t, file.path), 40);
    file.commit(100);
    t.is(lockedFrom(t, file.path), 100);
    file.close();
  });

  test(`${how}: it closes behind its last write, cut to what is whole then, and says so once`, async (t) => {
    const env = diskEnvironment({ pooled });
    let allClosed = 0;
    env.onAllClosed = () => {
      allClosed += 1;
    };
    const file = new AppendFile(temporaryDirectory(t), 'f', env);
    let wholeBytes = 0;
    file.append([pattern(60)], 60, () => {
      wholeBytes = 60;
    });
    file.append([pattern(40)], 40, () => undefined);
    await closed(file, () => wholeBytes);
    t.is(statSync(file.path).size, 60);
    t.is(env.open.size, 0);
    t.is(allClosed, 1);
    t.is((await append(file, pattern(1)))?.code, 'MR_ERR_DISK_WRITE', 'nothing is written behind the end');
  });

  test(`${how}: a sync holds the file open until it is through`, async (t) => {
    const file = new AppendFile(temporaryDirectory(t), 'f', diskEnvironment({ pooled }));
    await append(file, pattern(8));
    const order: string[] = [];
    const synced = new Promise<void>((resolve) => {
      file.sync((error) => {
        order.push(`synced ${error?.code ?? ''}`);
        resolve();
      });
    });
    const end = closed(file).then(() => order.push('closed'));
    await Promise.all([synced, end]);
    t.deepEqual(order, ['synced ', 'closed']);
  });

  test(`${how}: a write that the system cuts short is gone on with, and one that it refuses fails all behind it`, async (t) => {
    const directory = temporaryDirectory(t);
    const child = fileURLToPath(new URL('append-child.js', import.meta.url));
    // 2 KiB a file: the third write of 1000 bytes is cut short, the rest of it refused.
    const command = `ulimit -f 2; exec "${process.execPath}" "${child}" "${directory}" ${pooled ? 'pooled' : 'quick'}`;
    const { stdout } = await promisify(execFile)('bash', ['-c', command]);
    const failed = 'MR_ERR_DISK_WRITE';
    t.deepEqual(JSON.parse(stdout), {
      answers: ['0 written', '1 written', failed, failed, failed],
      writtenBytes: 2048,
      inFlight: 0,
    });
    t.deepEqual(
      readFileSync(join(directory, 'f')),
      Buffer.concat([Buffer.alloc(1000, 0), Buffer.alloc(1000, 1)]),
    );
  });
}

test('on a quick disk an append is done when it returns; a long one, and one on a slow disk, later', (t) => {
  const directory = temporaryDirectory(t);
  const isDone = (env: ReturnType<typeof diskEnvironment>, bytes: number): boolean => {
    const file = new AppendFile(directory, 'f', env);
    let done = false;
    file.append([Buffer.alloc(bytes)], bytes, () => {
      done = true;
    });
    file.close();
    return done;
  };
  t.true(isDone(diskEnvironment(), 1000));
  t.false(isDone(diskEnvironment(), 5 * 1024 * 1024));
  t.false(isDone(diskEnvironment({ pooled: true }), 1000));
});

test('padding is zero bytes, as many as are asked for, and a hole where they are many', async (t) => {
  for (const pooled of [false, true])
    for (const bytes of [0, 1, 65_536, 65_537, 3 * 2 ** 30]) {
      const path = join(temporaryDirectory(t), 'f');
      const file = new AppendFile(dirname(path), 'f', diskEnvironment({ pooled }));
      const { range, holeBytes } = padding(bytes);
      const ranges = [pattern(10), ...(range === undefined ? [] : [range])];
      const rangeBytes = 10 + (range?.length ?? 0);
      await new Promise((resolve) => file.append(ranges, rangeBytes, resolve, holeBytes));
      t.is(file.writtenBytes, 10 + bytes);
      await append(file, pattern(3));
      await closed(file);
      const { size, blocks } = statSync(path);
      t.is(size, 13 + bytes);
      t.true(blocks * 512 < 1_048_576, `${bytes} bytes of padding take ${blocks} blocks`);
      if (bytes > 100_000) continue;
      t.true(readFileSync(path).equals(Buffer.concat([pattern(10), Buffer.alloc(bytes), pattern(3)])));
    }
});

test('a hidden birth name never outlives a failed birth', (t) => {
  const directory = temporaryDirectory(t);
  t.throws(() => new AppendFile(directory, 'n/f', diskEnvironment()), { code: 'MR_ERR_DISK_CREATE' });
  t.deepEqual(readdirSync(directory), []);
  t.false(existsSync(join(directory, 'n')));
});
