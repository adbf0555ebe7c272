import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { main } from '../../cli/main.ts';
import { formatReport } from '../../cli/verify/format.ts';
import { type StreamReport, verifyStore } from '../../lib/disk/verify/index.ts';
import { copyOf } from '../disk/verify/copy.ts';
import { fixture, tracesBelow } from '../helpers/traces.ts';
import { fakeContext } from './fake-context.ts';

test('verify: status 0 and a verdict for a clean store, 1 for faults, 2 for wrong usage', async (t) => {
  const run = async (...argv: string[]) => {
    const context = fakeContext(t, ['verify', ...argv]);
    return { status: await main(context), out: context.words('stdout'), err: context.words('stderr') };
  };
  const clean = await run(fixture('captures/rotation'));
  t.is(clean.status, 0);
  t.regex(clean.out, /\nclean: 2 traces, 6 packets\n$/);
  t.regex(clean.out, /channel0_0 +1 +4096 +matching\n/);
  const faulty = await run(fixture('corpus/synth-fail-truncated/trace'));
  t.is(faulty.status, 1);
  t.regex(faulty.out, /torn-tail +s0 at 125: the last 113 bytes/);
  t.regex(faulty.out, /\n1 fault: 1 trace, 1 packet\n$/);
  t.like(await run(), { status: 2, out: '' });
  t.is((await run('a', 'b')).status, 2);
  t.is((await run('--no-such-option', '.')).status, 2);
  t.like(await run('no such directory'), { status: 1, out: '' });
  t.regex((await run('--help')).out, /Exit status: 0 clean, 1 faults found/);
});

test('verify: what may not be read is a fault, and everything else is checked', (t) => {
  const copy = copyOf(t, fixture('captures/rotation/oracle'));
  const [first, second] = tracesBelow(copy.directory) as [string, string];
  chmodSync(join(first, '../../../..'), 0); // a chunk
  chmodSync(join(second, 'channel0_0'), 0);
  t.teardown(() => chmodSync(join(first, '../../../..'), 0o755));
  const bin = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));
  // root may read everything
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const { status, stdout } = spawnSync(process.execPath, [bin, 'verify', '--json', copy.directory], {
    encoding: 'utf8',
    ...nobody,
  });
  t.is(status, 1);
  const { faults, traces } = JSON.parse(stdout) as {
    faults: { code: string; path: string; text: string }[];
    traces: { files: { path: string }[] }[];
  };
  t.deepEqual(
    faults.map(({ code, path, text }) => [code, basename(path), text.slice(0, 6)]),
    [
      ['unreadable', basename(join(first, '../../../..')), 'EACCES'],
      ['unreadable', 'channel0_0', 'EACCES'],
    ],
  );
  t.deepEqual(
    traces.flatMap(({ files }) => files.map(({ path }) => basename(path))),
    ['channel0_1'],
  );
});

test('verify: what the tracer lost is told, and is no fault', async (t) => {
  const context = fakeContext(t, ['verify', fixture('corpus/synth-discarded/trace')]);
  t.is(await main(context), 0);
  t.regex(context.words('stdout'), /lost by the tracer +events +packets\n/);
  const [lossy] = (await verifyStore(fixture('corpus/synth-discarded/trace'))).streams as [StreamReport];
  const chunks = Array.from({ length: 500 }, (_, chunk) => `archives/${chunk}/c_0`);
  const report = {
    ...(await verifyStore(fixture('captures/rotation'))),
    streams: [{ ...lossy, paths: chunks }],
  };
  t.regex(formatReport(report), /\nlost by the tracer .*\narchives\/0\/c_0 and 499 files more +\d+ +\d+\n/);
});

test('verify --json: one object a line, numbers exact', async (t) => {
  const context = fakeContext(t, ['verify', '--json', fixture('corpus/synth-discarded/trace')]);
  t.is(await main(context), 0);
  const report = JSON.parse(context.words('stdout'));
  t.is(report.clean, true);
  t.deepEqual(report.faults, []);
  t.is(report.traces[0].uuid, '2a6422d0-6cee-11e0-8c08-cb07d7b3a564');
  t.is(typeof report.streams[0].eventsDiscarded, 'number');
});

test('verify --repair: says what it will do, does it, and looks again', async (t) => {
  const copy = copyOf(t, fixture('corpus/synth-fail-truncated/trace'));
  const context = fakeContext(t, ['verify', '--repair', copy.directory]);
  t.is(await main(context), 0);
  const words = context.words('stdout');
  const order = [
    '1 fault:',
    'will cut s0 from 238 to 125 bytes',
    'done: cut s0 from 238 to 125 bytes',
    'clean:',
  ];
  const places = order.map((each) => words.indexOf(each));
  t.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  t.true(
    places.every((place) => place >= 0),
    words,
  );

  const again = fakeContext(t, ['verify', '--repair', '--json', copy.directory]);
  t.is(await main(again), 0);
  t.deepEqual(JSON.parse(again.words('stdout')).plan, []);
});

test('verify --repair: faults that cannot be mended cost status 1', async (t) => {
  const copy = copyOf(t, fixture('corpus/synth-fail-magic/trace'));
  const context = fakeContext(t, ['verify', '--repair', copy.directory]);
  t.is(await main(context), 1);
  t.regex(context.words('stdout'), /nothing to repair\n$/);
});
