/** Index files whose times are wrong are not used: what is printed is what the packets say, as babeltrace2 does. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { fixture } from '../helpers/traces.ts';
import { viewText } from '../helpers/view.ts';

const [headerBytes, recordBytes] = [16, 72];
/** Where a record has its first and its last time. */
const times = { begin: 24, end: 32 };
const wrong = [0n, 5n, 2n ** 63n, 2n ** 64n - 1n];

for (const [name, at] of Object.entries(times))
  test(`a wrong ${name} of a packet in an index changes nothing`, async (t) => {
    const trace = mkdtempSync(join(tmpdir(), 'millrace-index-'));
    t.teardown(() => rmSync(trace, { recursive: true }));
    cpSync(fixture('corpus/ust-discarded/trace'), trace, { recursive: true });
    const path = join(trace, 'ust/uid/0/64-bit/index/di_0.idx');
    const index = readFileSync(path);
    const expected = await viewText([trace]);
    t.is(expected.error, undefined);
    for (let record = headerBytes; record < index.length; record += recordBytes)
      for (const value of wrong) {
        const changed = Buffer.from(index);
        changed.writeBigUInt64BE(value, record + at);
        writeFileSync(path, changed);
        t.deepEqual(await viewText([trace]), expected, `${value} at ${record}`);
      }
  });
