import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import test, { type ExecutionContext } from 'ava';
import type { LogRecord } from '../../lib/disk/log-parser.ts';
import { LogReader, readLogFile } from '../../lib/disk/log-reader.ts';
import { createLogFile, createLogStream, type LogEntry } from '../../lib/disk/log-writer.ts';

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

const entry = (timeNs: bigint, body: string | Buffer): LogEntry => ({
  kind: 'data',
  timeNs,
  parts: [Buffer.from(body)],
});

test('frame log: what is written to a file is read from it, in order', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  await pipeline(
    [entry(1n, 'one'), entry(2n, ''), entry(3n, 'three')],
    createLogFile(path, { content: 'frames' }),
  );
  const reader = await readLogFile(path);
  const records: LogRecord[] = await reader.toArray();
  t.deepEqual(
    records.map(({ timeNs, body }) => `${timeNs} ${body.toString()}`),
    ['1 one', '2 ', '3 three'],
  );
  t.is(reader.header?.content, 'frames');
  t.deepEqual(reader.ending, { outcome: 'whole', offset: statSync(path).size, why: '' });
});

test('frame log: no file is overwritten', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  writeFileSync(path, 'precious');
  await t.throwsAsync(pipeline([entry(1n, 'one')], createLogFile(path, { content: 'frames' })), {
    code: 'MR_ERR_DISK_CREATE',
  });
});

test('frame log: time never goes back from one record to the next', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  await pipeline(
    [entry(5n, 'a'), entry(3n, 'b'), entry(7n, 'c')],
    createLogFile(path, { content: 'frames' }),
  );
  const records: LogRecord[] = await (await readLogFile(path)).toArray();
  t.deepEqual(
    records.map(({ timeNs }) => timeNs),
    [5n, 5n, 7n],
  );
});

test('frame log: any point in time is found, whatever the bodies look like', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  const body = Buffer.alloc(10_000, 'x');
  const count = 400;
  const entries = Array.from({ length: count }, (_, i) => entry(BigInt(10 * i), body));
  // a copy of a mark within a body must not be taken for one
  (entries[200] as LogEntry).parts = [Buffer.from('d1f53ab708e64c92a36c915ef20d7bb40000000000000000', 'hex')];
  await pipeline(entries, createLogFile(path, { content: 'frames' }));
  for (const time of [0, 5, 10, 1234, 2000, 2010, 3985, 3990, 3991]) {
    const reader = await readLogFile(path, { fromNs: BigInt(time) });
    const records: LogRecord[] = await reader.toArray();
    const first = Math.ceil(time / 10);
    t.is(records.length, count - first, `from ${time}`);
    t.is(records[0]?.timeNs, first < count ? BigInt(first * 10) : undefined);
  }
});

test('frame log: a torn file ends cleanly and says where, a damaged one fails', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  await pipeline([entry(1n, 'one'), entry(2n, 'two')], createLogFile(path, { content: 'frames' }));
  truncateSync(path, statSync(path).size - 1);
  const reader = await readLogFile(path);
  t.is((await reader.toArray()).length, 1);
  t.like(reader.ending, { outcome: 'torn', offset: 32 + 23 });

  const damaged = new LogReader({ path: 'x' });
  const bytes = new PassThrough();
  await pipeline([entry(1n, 'one'), entry(2n, 'two')], createLogStream(bytes, { content: 'frames' }));
  const whole = await buffer(bytes);
  whole[54] = 0;
  const seen = damaged.toArray();
  damaged.end(whole);
  await t.throwsAsync(seen, { code: 'MR_ERR_LOG_RECORD', message: /record at 32: checksum/ });
});

test('frame log: a missing file is an error of the disk', async (t) => {
  const path = join(temporary(t), 'none');
  await t.throwsAsync(async () => (await readLogFile(path)).toArray(), { code: 'MR_ERR_DISK_READ' });
  await t.throwsAsync(readLogFile(path, { fromNs: 1n }), { code: 'MR_ERR_DISK_READ' });
});

test('frame log: through a pipe it is the same log, and its writer waits for a slow reader', async (t) => {
  const reader = new LogReader({ path: 'pipe' });
  const taken: Array<() => void> = [];
  let bytes = 0;
  const pipe = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _, callback) {
      bytes += chunk.length;
      reader.write(chunk);
      taken.push(callback);
    },
    final(callback) {
      reader.end();
      callback();
    },
  });
  const writer = createLogStream(pipe, { content: 'frames' });
  const written: number[] = [];
  for (let i = 0; i < 16; i++) writer.write(entry(BigInt(i), 'body'), () => written.push(i));
  t.false(
    writer.write(entry(16n, 'body'), () => written.push(16)),
    'sixteen records may wait',
  );
  writer.end();
  t.deepEqual(written, [], 'nothing is called written that the pipe has not taken');
  while (!pipe.writableFinished) {
    const next = taken.shift();
    if (next) next();
    await new Promise(setImmediate);
  }
  t.is(written.length, 17);
  t.is((await reader.toArray()).length, 17);
  t.is(bytes, writer.sizeBytes);
});
