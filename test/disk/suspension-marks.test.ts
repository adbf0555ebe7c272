import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { lockOutput, releaseOutput } from '../../lib/disk/journal-lock.ts';
import { isSuspended, SuspensionMarks } from '../../lib/disk/suspension-marks.ts';
import { openRangeLocks, type RangeLocks } from '../../lib/os/range-locks.ts';

const locks = openRangeLocks();
const withLocks = locks === undefined ? test.skip : test;

function marked(t: ExecutionContext): { marks: SuspensionMarks; path: string; outputPath: string } {
  const outputPath = mkdtempSync(join(tmpdir(), 'millrace-marks-'));
  t.teardown(() => rmSync(outputPath, { recursive: true, force: true }));
  mkdirSync(join(outputPath, 'vm/s/ust'), { recursive: true });
  const marks = new SuspensionMarks(outputPath, locks as RangeLocks);
  return { marks, outputPath, path: join(outputPath, 'vm/s/ust/c_0') };
}

withLocks(
  'a mark is found from any path below the output directory, though renames made it stale',
  async (t) => {
    const { marks, path, outputPath } = marked(t);
    const seen = (ino: bigint, at = path) => isSuspended(at, ino, locks as RangeLocks);
    t.false(await seen(7n), 'nothing was ever suspended');
    marks.set(7n);
    t.true(await seen(7n));
    t.true(await seen(7n, join(outputPath, 'vm/gone/away/c_0')));
    t.false(await seen(6n));
    t.false(await seen(8n));
    marks.clear(7n);
    t.false(await seen(7n));
    marks.close();
  },
);

withLocks('an inode number that is used again stays marked until both its files are finished', async (t) => {
  const { marks, path } = marked(t);
  const seen = () => isSuspended(path, 7n, locks as RangeLocks);
  marks.set(7n);
  marks.set(7n);
  marks.clear(7n);
  t.true(await seen());
  marks.clear(7n);
  t.false(await seen());
  marks.close();
});

withLocks('numbers as long as 64 bits are marks too', async (t) => {
  const { marks, path } = marked(t);
  const ino = 0xffff_ffff_ffff_fff0n;
  marks.set(ino);
  t.true(await isSuspended(path, ino, locks as RangeLocks));
  marks.close();
  t.false(await isSuspended(path, ino, locks as RangeLocks), 'marks end with their relay');
});

withLocks('whoever gives the output directory back leaves no marks, also those of a relay that died', (t) => {
  const { marks, outputPath } = marked(t);
  marks.set(7n);
  marks.close();
  releaseOutput(outputPath, lockOutput(outputPath, locks));
  t.false(existsSync(join(outputPath, '.millrace')));
});
