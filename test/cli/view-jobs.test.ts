import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../cli/main.ts';
import { writeTrace } from '../bench/view-trace.ts';
import { fixture } from '../helpers/traces.ts';
import { fakeContext } from './fake-context.ts';

const packetBytes = 65_536;

function traceOf(t: ExecutionContext): string {
  const trace = mkdtempSync(join(tmpdir(), 'millrace-jobs-'));
  t.teardown(() => rmSync(trace, { recursive: true }));
  // Three parts.
  writeTrace(trace, 200_000);
  return trace;
}

/** What a run prints, says, and ends with. */
async function run(t: ExecutionContext, args: readonly string[]) {
  const context = fakeContext(t, ['view', '--clock-gmt', ...args]);
  const status = await main(context);
  return { status, stdout: context.words('stdout'), stderr: context.words('stderr') };
}

for (const options of [[], ['--output=json'], ['--clock-cycles'], ['--event=work:end', '--where', 'id>-7']])
  test(`threads print what one prints: ${options.join(' ')}`, async (t) => {
    const trace = traceOf(t);
    const one = await run(t, [...options, trace]);
    const three = await run(t, [...options, '--jobs=3', trace]);
    t.is(one.status, 0);
    t.true(one.stdout.length > 100_000);
    t.true(three.stdout === one.stdout, 'the same lines');
    t.is(three.stderr, one.stderr);
  });

/** Changes a packet in the middle of the first stream. */
function change(trace: string, edit: (packet: Buffer) => void): void {
  const path = join(trace, 'channel0_0');
  const bytes = readFileSync(path);
  edit(bytes.subarray(25 * packetBytes, 26 * packetBytes));
  writeFileSync(path, bytes);
}

test('threads end as one does where a packet cannot be decoded', async (t) => {
  const trace = traceOf(t);
  // An id that no class has, in place of the event that begins at the first byte behind the header.
  change(trace, (packet) => packet.writeUInt16LE(99, 84));
  const one = await run(t, [trace]);
  const two = await run(t, ['--jobs=2', trace]);
  t.is(one.status, 1);
  t.regex(one.stderr, /channel0_0/);
  t.true(two.stdout === one.stdout, 'the same lines');
  t.deepEqual([two.status, two.stderr], [one.status, one.stderr]);
});

test('events later than the end of their packet stay in their place with threads', async (t) => {
  const trace = traceOf(t);
  rmSync(join(trace, 'index'), { recursive: true });
  change(trace, (packet) => packet.copy(packet, 40, 32, 40));
  const one = await run(t, [trace]);
  const two = await run(t, ['--jobs=2', trace]);
  t.is(one.status, 0);
  t.true(two.stdout === one.stdout, 'the same lines');
});

const longLines = `/* CTF 1.8 */
typealias integer { size = 64; align = 8; signed = false; } := u64;
trace { major = 1; minor = 8; byte_order = le; };
clock { name = c; freq = 1000000000; };
stream { packet.context := struct { u64 timestamp_begin; u64 timestamp_end; u64 content_size; u64 packet_size; };
  event.header := struct { u64 timestamp; }; };
event { name = e; fields := struct { string text; }; };
`;

test('a line that is longer than the memory for lines is printed whole with threads', async (t) => {
  const trace = mkdtempSync(join(tmpdir(), 'millrace-jobs-'));
  t.teardown(() => rmSync(trace, { recursive: true }));
  const packets = Array.from({ length: 12 }, (_, i) => {
    const text = Buffer.alloc(300_000 + 1000 * i, 97 + i);
    const [time, end, bits] = [
      1000n * BigInt(i),
      1000n * BigInt(i) + 9n,
      BigInt(32 + 8 + text.length + 1) * 8n,
    ];
    return Buffer.concat([u64s(time, end, bits, bits, time + 5n), text, Buffer.alloc(1)]);
  });
  writeFileSync(join(trace, 'metadata'), longLines);
  writeFileSync(join(trace, 'stream'), Buffer.concat(packets));
  const one = await run(t, [trace]);
  const two = await run(t, ['--jobs=2', trace]);
  t.is(one.stdout.split('\n').length, 13);
  t.true(two.stdout === one.stdout, 'the same lines');
});

function u64s(...values: bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(value, i * 8);
  return bytes;
}

test('a filter that is no comparison is wrong usage', async (t) => {
  const context = fakeContext(t, ['view', '--where=seq', fixture('corpus/ust-many-events')]);
  t.is(await main(context), 2);
  t.regex(context.words('stderr'), /^millrace view: filter "seq": it is no comparison/);
});

test('a number of jobs that is none is wrong usage', async (t) => {
  t.is((await run(t, ['--jobs=0', 'x'])).status, 2);
});
