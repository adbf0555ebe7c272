import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../cli/main.ts';
import { writeTrace } from '../bench/view-trace.ts';
import { fakeContext } from './fake-context.ts';

const packetBytes = 65_536;

function traceOf(t: ExecutionContext): string {
  const trace = mkdtempSync(join(tmpdir(), 'millrace-jobs-'));
  t.teardown(() => rmSync(trace, { recursive: true }));
  // Three parts.
  writeTrace(trace, 130_000);
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

test('a number of jobs that is none is wrong usage', async (t) => {
  t.is((await run(t, ['--jobs=0', 'x'])).status, 2);
});
