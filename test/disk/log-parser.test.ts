import { crc32 } from 'node:zlib';
import test from 'ava';
import { LogParser, type LogRecord } from '../../lib/disk/log-parser.ts';

/** Builds a log without the encoder under test. */
const u32 = (...values: number[]): Buffer =>
  Buffer.from(new Uint8Array(new Uint32Array(values).buffer)).swap32();
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
function sealed(before: Buffer, body: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([before, u32(crc32(Buffer.concat([before, body]))), body]);
}
const header = sealed(Buffer.concat([Buffer.from('\x89MRLOG\r\n', 'latin1'), u32(1, 1, 0), u64(77n)]));
const record = (kind: number, timeNs: bigint, body: string): Buffer =>
  sealed(Buffer.concat([u32(body.length, kind), u64(timeNs)]), Buffer.from(body));

const parts = [
  header,
  record(0x07, 1n, 'first'),
  record(0x09, 2n, ''),
  record(0x7f, 2n, 'mark'),
  record(0x1234, 3n, 'a kind of the future'),
];
const log = Buffer.concat(parts);
const edges = parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, { length }) => sum + length, 0));
const expected = [
  { kind: 0x07, timeNs: 1n, offset: 32, body: 'first' },
  { kind: 0x09, timeNs: 2n, offset: 57, body: '' },
  { kind: 0x1234, timeNs: 3n, offset: 101, body: 'a kind of the future' },
];

const readable = (records: LogRecord[]) =>
  records.map(({ body, ...record }) => ({ ...record, body: body.toString() }));

test('log parser: any division of the bytes gives the same records, marks passed over', (t) => {
  const whole = new LogParser('x');
  t.deepEqual(readable(whole.push(log)), expected);
  t.deepEqual(whole.header, { content: 'frames', segment: 0, createdNs: 77n });
  t.deepEqual(whole.end(), { outcome: 'whole', offset: log.length, why: '' });
  const bytewise = new LogParser('x');
  t.deepEqual(readable([...log].flatMap((byte) => bytewise.push(Buffer.of(byte)))), expected);
  for (let cut = 1; cut < log.length; cut++) {
    const parser = new LogParser('x');
    const records = [...parser.push(log.subarray(0, cut)), ...parser.push(log.subarray(cut))];
    t.deepEqual(readable(records), expected, `cut at ${cut}`);
  }
});

test('log parser: a log cut anywhere gives what was whole and the place of the tear', (t) => {
  for (let length = 0; length < log.length; length++) {
    const parser = new LogParser('x');
    const records = parser.push(log.subarray(0, length));
    const good = edges.findLast((edge) => edge <= length) ?? 0;
    t.deepEqual(
      readable(records),
      expected.filter(({ offset }) => offset < good),
      `cut at ${length}`,
    );
    const { outcome, offset } = parser.end();
    t.deepEqual(
      { outcome, offset },
      { outcome: good === length && length > 0 ? 'whole' : 'torn', offset: good },
    );
  }
});

test('log parser: a wrong byte is damage when more follows, a torn tail when nothing or only zeros do', (t) => {
  const second = edges[1] as number;
  const flipped = Buffer.from(log);
  flipped[second - 1] = (flipped[second - 1] as number) ^ 0x20;
  const damaged = new LogParser('x');
  t.deepEqual(damaged.push(flipped), []);
  t.true(damaged.damaged);
  t.like(damaged.end(), { outcome: 'damaged', offset: 32 });
  for (const zeros of [0, 1, 100]) {
    const torn = new LogParser('x');
    torn.push(Buffer.concat([flipped.subarray(0, second), Buffer.alloc(zeros)]));
    t.like(torn.end(), { outcome: 'torn', offset: 32 }, `${zeros} zeros behind`);
  }
  const extended = new LogParser('x');
  t.is(extended.push(Buffer.concat([log, Buffer.alloc(4096)])).length, 3);
  t.like(extended.end(), { outcome: 'torn', offset: log.length });
});

test('log parser: a record above the ceiling is refused at its header, whatever its body', (t) => {
  const parser = new LogParser('x', { maxRecordBytes: 4 });
  t.deepEqual(parser.push(Buffer.concat([header, record(7, 1n, 'fiver')])), []);
  t.like(parser.end(), { outcome: 'damaged', offset: 32, why: '5 bytes, at most 4 are allowed' });
});

test('log parser: goes on at a record in the middle of a segment', (t) => {
  const parser = new LogParser('x', {
    resume: { header: { content: 'frames', segment: 0, createdNs: 77n }, offset: 57 },
  });
  t.deepEqual(readable(parser.push(log.subarray(57))), expected.slice(1));
});
