import assert from 'node:assert';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { AppendFile, type DiskEnvironment } from '../../lib/disk/append-file.ts';
import { DescriptorPool, type DescriptorPoolOptions } from '../../lib/disk/descriptor-pool.ts';
import { Pace } from '../../lib/disk/pace.ts';
import { TraceChunk } from '../../lib/disk/trace-chunk.ts';
import type { MillraceError } from '../../lib/errors.ts';
import { limits } from '../../lib/limits.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';

const atLeast = limits.filesOpenAtLeast;
/** Of the process: what leaves `files` of them for files. */
const sizeFor = (files: number) => limits.processDescriptors + limits.spareDescriptors + files;

function temporary(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-pool-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** What files share, with room for the least number of them. */
function environment(t: ExecutionContext, options: DescriptorPoolOptions = { size: 0 }): DiskEnvironment {
  const env: DiskEnvironment = {
    locks: openRangeLocks(),
    pace: new Pace(),
    pool: new DescriptorPool(options),
    lockConflicts: 0,
    bytesInFlight: 0,
    open: new Set(),
    onAllClosed: () => undefined,
  };
  t.teardown(() => {
    for (const file of env.open) file.close();
    assert.equal(env.pool.openFiles + env.pool.suspendedFiles + env.pool.waitingFiles, 0);
  });
  return env;
}

/** Opens so many files that all before them are suspended. */
function crowd(env: DiskEnvironment, directory: string): void {
  for (let i = 0; i < atLeast; i += 1) new AppendFile(directory, `crowd-${i}`, env);
}

/** Appends at once and commits; returns the error, if there is one. */
function append(file: AppendFile, text: string): MillraceError | undefined {
  let outcome: MillraceError | undefined | 'waits' = 'waits';
  file.append([Buffer.from(text)], text.length, (error) => {
    outcome = error;
  });
  if (outcome === 'waits') throw new Error('the write waits');
  if (outcome === undefined) file.commit(file.writtenBytes);
  return outcome;
}

/** Its descriptor, whether it is used or not. */
const isOpen = (file: AppendFile) => file.descriptor >= 0;

test('while all files fit nobody is suspended', (t) => {
  const directory = temporary(t);
  const env = environment(t, { size: sizeFor(100) });
  const files = Array.from({ length: 99 }, (_, i) => new AppendFile(directory, `f${i}`, env));
  t.true(files.every(isOpen));
  t.false(env.pool.crowded);
});

test('the file that was unused longest is suspended first, and opened by its next write', (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const files = Array.from({ length: atLeast }, (_, i) => new AppendFile(directory, `f${i}`, env));
  const [first, second, third] = files as [AppendFile, AppendFile, AppendFile];
  append(first, 'one,');
  const another = new AppendFile(directory, 'another', env);
  t.deepEqual([first, second, third, another].map(isOpen), [true, false, true, true]);
  append(second, 'two');
  t.deepEqual([first, second, third, another].map(isOpen), [true, true, false, true]);
  t.is(env.pool.openFiles, atLeast);
  t.is(env.pool.suspendedFiles, 1);
  t.is(readFileSync(second.path, 'utf8'), 'two');
});

test('a file with uncommitted bytes keeps its descriptor and its lock', (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const file = new AppendFile(directory, 'f', env);
  append(file, 'committed');
  file.append([Buffer.from('not')], 3, () => undefined);
  crowd(env, directory);
  crowd(env, directory);
  t.true(isOpen(file));
});

test('a reopened file is locked from its size on before anything is written', (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const { locks } = env;
  const file = new AppendFile(directory, 'f', env);
  append(file, 'committed');
  crowd(env, directory);
  t.false(isOpen(file));
  file.append([Buffer.from('not yet')], 7, () => undefined);
  t.true(isOpen(file));
  const fd = openSync(file.path, 'r');
  t.teardown(() => closeSync(fd));
  t.is(locks?.query(fd, 'shared', 0, 0)?.startBytes, locks && 'committed'.length);
});

/** A session's directory, and chunks in it. */
function session(t: ExecutionContext): (id: bigint, path: readonly string[]) => TraceChunk {
  const outputPath = temporary(t);
  return (id, path) =>
    new TraceChunk(
      {
        outputPath,
        sessionPath: ['vm', 's'],
        session: 's',
        id,
        creationTimeS: 1_700_000_000n,
        overrideName: undefined,
        journal: {
          chunkMade: () => 0,
          chunkDirectory: () => undefined,
          moveBegun: () => undefined,
          moveDone: () => undefined,
          fileFound: () => undefined,
          chunkClosed: () => undefined,
          chunkGone: () => undefined,
          settle: () => undefined,
        },
        onComplete: () => undefined,
        onUnused: () => undefined,
      },
      path,
    );
}

const renames: ReadonlyArray<[what: string, path: string[], rename: (chunk: TraceChunk) => void]> = [
  ['out of the session directory into .tmp_old_chunk', [], (chunk) => chunk.becomeOld()],
  [
    'into .tmp_old_chunk and back into the session directory',
    [],
    (chunk) => {
      chunk.becomeOld();
      chunk.settle(true);
    },
  ],
  ['from .tmp_new_chunk to its name', ['.tmp_new_chunk'], (chunk) => chunk.settle(false)],
  ['from .tmp_new_chunk up into the session directory', ['.tmp_new_chunk'], (chunk) => chunk.settle(true)],
  [
    'from the session directory into archives',
    [],
    (chunk) => {
      const user = {};
      chunk.acquire(user);
      chunk.close(1_700_000_009n, 'moveToCompleted');
      chunk.release(user);
    },
  ],
];

for (const [what, path, rename] of renames)
  test(`a suspended file is found again when its chunk has moved ${what}`, (t) => {
    const env = environment(t);
    const chunk = session(t)(0n, path);
    const directoryNow = () => chunk.directory(['ust', 'x']).directory;
    const file = new AppendFile(directoryNow(), 'f', env, { directoryNow });
    append(file, 'before,');
    crowd(env, temporary(t));
    rename(chunk);
    t.false(isOpen(file));
    t.is(append(file, 'after'), undefined);
    t.is(readFileSync(join(directoryNow(), 'f'), 'utf8'), 'before,after');
  });

test('a suspended file that was unlinked cannot be written, and nothing appears in its place', (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const file = new AppendFile(directory, 'f', env);
  crowd(env, directory);
  unlinkSync(file.path);
  t.is(append(file, 'x')?.code, 'MR_ERR_DISK_WRITE');
  t.throws(() => readFileSync(file.path), { code: 'ENOENT' });
});

test('a suspended file whose name has gone to another file leaves that alone', (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const file = new AppendFile(directory, 'f', env);
  crowd(env, directory);
  renameSync(file.path, join(directory, 'moved'));
  writeFileSync(file.path, '');
  const error = append(file, 'x');
  t.is(error?.code, 'MR_ERR_DISK_WRITE');
  t.regex(String(error?.message), /another file got its name/);
  t.is(append(file, 'x')?.code, 'MR_ERR_DISK_WRITE');
  file.close();
  t.is(readFileSync(file.path, 'utf8'), '');
});

test('a suspended file that somebody cut or continued is not written any more', (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const file = new AppendFile(directory, 'f', env);
  append(file, 'committed');
  crowd(env, directory);
  writeFileSync(file.path, 'committed and more');
  t.regex(String(append(file, 'x')?.message), /changed its size/);
  file.close();
  t.is(readFileSync(file.path, 'utf8'), 'committed and more');
});

test('a kept file outlives its name: what is written to it reaches nobody else', (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const old = new AppendFile(directory, 'f', env);
  crowd(env, directory);
  old.keep();
  const young = new AppendFile(directory, 'f', env);
  crowd(env, directory);
  t.true(isOpen(old));
  t.is(append(old, 'old'), undefined);
  t.is(append(young, 'young'), undefined);
  t.is(readFileSync(young.path, 'utf8'), 'young');
});

test('a write that finds all descriptors held by uncommitted bytes waits until one is committed', async (t) => {
  const directory = temporary(t);
  const env = environment(t);
  const last = new AppendFile(directory, 'last', env);
  const holders = Array.from({ length: atLeast }, (_, i) => new AppendFile(directory, `f${i}`, env));
  for (const file of holders) file.append([Buffer.from('x')], 1, () => undefined);
  t.is(env.pool.openFiles, atLeast);
  const urgent = new AppendFile(directory, 'urgent', env, { urgent: true });
  t.is(append(urgent, 'goes on'), undefined);

  const written = new Promise<MillraceError | undefined>((resolve) => {
    last.append([Buffer.from('y')], 1, resolve);
  });
  t.is(env.pool.waitingFiles, 1);
  t.false(last.idle);
  for (const holder of holders.slice(0, 2)) holder.commit(1);
  t.is(await written, undefined);
  t.is(readFileSync(last.path, 'utf8'), 'y');
});

test('a write that waits in vain fails alone, with an error that says why', async (t) => {
  const directory = temporary(t);
  const env = environment(t, { size: 0, waitSeconds: 0.05 });
  const last = new AppendFile(directory, 'last', env);
  const holders = Array.from({ length: atLeast }, (_, i) => new AppendFile(directory, `f${i}`, env));
  for (const file of holders) file.append([Buffer.from('x')], 1, () => undefined);
  const error = await new Promise<MillraceError | undefined>((resolve) => {
    last.append([Buffer.from('y')], 1, resolve);
  });
  t.is(error?.code, 'MR_ERR_DISK_WRITE');
  t.regex(String(error?.message), /no file descriptor became free in 0.05 s/);
  t.is(env.bytesInFlight, 0);
  t.is(append(holders[0] as AppendFile, 'goes on'), undefined);
});

test('a write waits for as long as the disk stalls', async (t) => {
  const waitSeconds = 0.02;
  const { pool } = environment(t, { size: 0, waitSeconds });
  const stalled = {
    path: '/dev/null',
    urgent: false,
    suspendable: false,
    busy: true,
    suspend() {},
    awake() {},
  };
  const files = Array.from({ length: atLeast }, () => ({ ...stalled }));
  const descriptors = files.map((file) => pool.open(file, file.path, constants.O_WRONLY));
  let error: MillraceError | undefined;
  const awoken = new Promise<void>((resolve) => {
    const awake = (why?: MillraceError) => {
      error = why;
      resolve();
    };
    pool.wait({ ...stalled, awake });
  });
  const patience = delay(waitSeconds * 5000, 'patience');
  t.is(await Promise.race([awoken, patience]), 'patience');
  for (const file of files) file.busy = false;
  await awoken;
  t.is(error?.code, 'MR_ERR_DISK_WRITE');
  for (const file of files) pool.closed(file);
  for (const descriptor of descriptors) closeSync(descriptor);
});

test('what only waits for the end of a batch is committed for those who wait', async (t) => {
  const directory = temporary(t);
  const holders: AppendFile[] = [];
  const settle = () => {
    for (const file of holders) file.commit(1);
  };
  const env = environment(t, { size: 0, settle });
  const last = new AppendFile(directory, 'last', env);
  for (let i = 0; i < atLeast; i += 1) holders.push(new AppendFile(directory, `f${i}`, env));
  for (const file of holders) file.append([Buffer.from('x')], 1, () => undefined);
  t.is(
    await new Promise((resolve) => {
      last.append([Buffer.from('y')], 1, resolve);
    }),
    undefined,
  );
});

test('connections take descriptors from files, but not the last ones', (t) => {
  const directory = temporary(t);
  const env = environment(t, { size: sizeFor(40) });
  for (let i = 0; i < 40; i += 1) new AppendFile(directory, `f${i}`, env);
  env.pool.reserve(10);
  t.is(env.pool.openFiles, 30);
  env.pool.reserve(1000);
  t.is(env.pool.openFiles, atLeast);
});
