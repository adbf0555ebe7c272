import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readCached } from '../../lib/os/cached-read.ts';

test('what was just written is read without waiting, to the place that was asked for; behind the end there is nothing', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cached-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const content = Buffer.from(Uint8Array.from({ length: 10_000 }, (_, at) => at & 0xff));
  writeFileSync(join(folder, 'file'), content);
  const fd = openSync(join(folder, 'file'), 'r');
  t.teardown(() => closeSync(fd));
  // from Node's pool of small buffers, and from memory of its own
  for (const bytes of [Buffer.alloc(300, 0xee), Buffer.allocUnsafeSlow(5000).fill(0xee).subarray(100)]) {
    const got = readCached(fd, bytes, 10, 200, 1003);
    if (got === undefined) {
      t.log('this file system does not tell what is in memory');
      t.pass();
      return;
    }
    t.is(got, 200);
    t.deepEqual(bytes.subarray(10, 210), content.subarray(1003, 1203));
    t.is(bytes[9], 0xee);
    t.is(bytes[210], 0xee);
    t.is(readCached(fd, bytes, 0, 200, 9900), 100);
    t.is(readCached(fd, bytes, 0, 200, 10_000), 0);
  }
  t.is(readCached(9999, Buffer.alloc(10), 0, 10, 0), 0);
});
