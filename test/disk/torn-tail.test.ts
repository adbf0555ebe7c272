import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { cutIndexed } from '../../lib/disk/torn-tail.ts';
import { limits } from '../../lib/limits.ts';
import { temporaryDirectory } from '../helpers/disk.ts';

const lost = 2n ** 64n - 1n;

/** A data file of `sizeBytes` and an index of packets of 10 bytes at these offsets. */
function files(t: ExecutionContext, sizeBytes: number, offsets: readonly bigint[]) {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'ch_0');
  const indexPath = join(directory, 'ch_0.idx');
  const index = Buffer.alloc(16 + offsets.length * 72);
  index.set(Buffer.from('c1f1dcc1000000010000000100000048', 'hex'));
  for (const [at, offset] of offsets.entries()) {
    index.writeBigUInt64BE(offset, 16 + at * 72);
    index.writeBigUInt64BE(80n, 16 + at * 72 + 8);
  }
  writeFileSync(path, Buffer.alloc(sizeBytes, 1));
  writeFileSync(indexPath, index);
  return { path, indexPath };
}

test('data is kept up to its last packet, however many records of lost packets lie behind that', (t) => {
  const many = Array.from({ length: limits.halfPacketsPerStream + 10 }, () => lost);
  const { path, indexPath } = files(t, 25, [0n, 10n, ...many]);
  const before = readFileSync(indexPath);
  cutIndexed(path, indexPath, undefined);
  t.is(statSync(path).size, 20);
  t.true(readFileSync(indexPath).equals(before));
});

test('an index is cut behind the last record of a packet that is there, in whatever order they lie', (t) => {
  const { path, indexPath } = files(t, 25, [10n, 0n, lost, 20n, lost]);
  cutIndexed(path, indexPath, undefined);
  t.is(statSync(path).size, 20);
  t.is(statSync(indexPath).size, 16 + 3 * 72);
});
