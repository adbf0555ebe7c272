import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openSparseCalls, type SparseCalls } from '../../lib/os/sparse-file.ts';

const mib = 1024 * 1024;

/** A sparse file of 4 MiB with data in its second one. */
function sparse(t: ExecutionContext): { fd: number; calls: SparseCalls } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sparse-'));
  const fd = openSync(join(folder, 'file'), 'w+');
  t.teardown(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  ftruncateSync(fd, 4 * mib);
  writeSync(fd, Buffer.alloc(mib, 7), 0, mib, mib);
  const calls = openSparseCalls();
  if (calls === undefined) throw new Error('koffi is not installed');
  return { fd, calls };
}

test('data and holes are found, and the size', async (t) => {
  const { calls, fd } = sparse(t);
  await calls.prepare(fd, 0);
  t.is(calls.nextData(fd, 0), mib);
  t.is(calls.nextHole(fd, mib), 2 * mib);
  t.is(calls.nextData(fd, 2 * mib), undefined);
  t.is(calls.sizeOf(fd), 4 * mib);
});

test('a hole is made and gives its space back, zeroes can keep it; the size stays', async (t) => {
  const { calls, fd } = sparse(t);
  const blocks = fstatSync(fd).blocks;
  await calls.zero(fd, mib, mib / 2);
  t.is(fstatSync(fd).blocks, blocks);
  await calls.punch(fd, mib, mib / 2);
  t.is(fstatSync(fd).blocks, blocks / 2);
  t.is(fstatSync(fd).size, 4 * mib);
  const back = Buffer.alloc(mib);
  readSync(fd, back, 0, mib, mib);
  t.true(back.subarray(0, mib / 2).every((byte) => byte === 0));
  t.true(back.subarray(mib / 2).every((byte) => byte === 7));
});

test("a call that fails rejects with the system's error", async (t) => {
  const { calls, fd } = sparse(t);
  const reader = openSync('/dev/null', 'r');
  t.teardown(() => closeSync(reader));
  const error = await t.throwsAsync<NodeJS.ErrnoException>(calls.punch(reader, 0, 4096));
  t.true(['EBADF', 'ENODEV', 'EOPNOTSUPP'].includes(error?.code ?? ''), error?.code);
  t.throws(() => calls.nextHole(fd, 5 * mib), { code: 'ENXIO' });
});
