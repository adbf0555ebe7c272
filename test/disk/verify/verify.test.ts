import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { FaultCode, VerifyReport } from '../../../lib/disk/verify/report.ts';
import { verifyStore } from '../../../lib/disk/verify/verify.ts';
import { corpus, fixture } from '../../helpers/traces.ts';
import { copyOf } from './copy.ts';

const codesOf = (report: VerifyReport): FaultCode[] => report.faults.map(({ code }) => code);

/** What the descriptions of the traces say is wrong with them; all others are in order, as packets go. */
const faulty: Readonly<Record<string, FaultCode[]>> = {
  'synth-index': ['index-short'],
  'synth-uuid-mismatch': ['trace-uuid'],
  'synth-fail-magic': ['packet-unreadable'],
  'synth-fail-stream-id': ['stream-class'],
  'synth-fail-truncated': ['torn-tail'],
  'synth-fail-content-gt-packet': ['content-size'],
  'bt-fail-fail1': ['metadata-invalid'],
  'bt-fail-fail2': ['metadata-invalid'],
  'bt-fail-integer-range': ['metadata-invalid'],
  'bt-fail-invalid-packet-size': ['index-surplus', 'torn-tail'],
  'bt-fail-lttng-modules-2.0-pre1': ['metadata-invalid'],
  'bt-fail-metadata-syntax-error': ['metadata-invalid'],
  'bt-fail-packet-based-metadata': ['metadata-invalid'],
  'bt-fail-smalltrace': ['metadata-invalid'],
  // Their packets carry the UUID of another trace, which babeltrace2 does not look at.
  'bt-intersection-3eventsintersectreverse': Array.from({ length: 8 }, () => 'trace-uuid' as const),
  'bt-intersection-onestream': Array.from({ length: 3 }, () => 'trace-uuid' as const),
};

/** Those of sessions that left a trace. */
const stored = readdirSync(fixture('captures')).filter((name) =>
  existsSync(fixture(`captures/${name}/oracle`)),
);

for (const name of stored)
  test(`verify: what lttng-relayd stored is clean: ${name}`, async (t) => {
    const report = await verifyStore(fixture(`captures/${name}`));
    t.deepEqual(report.faults, []);
    t.true(report.clean);
    t.true(report.streams.every(({ packets, packetsLost }) => packets > 0 && packetsLost === 0n));
  });

for (const name of readdirSync(fixture('corpus')).filter((each) => each.startsWith('synth-')))
  test(`verify: ${name} is what its description says`, async (t) => {
    t.deepEqual(codesOf(await verifyStore(fixture(`corpus/${name}/trace`))), faulty[name] ?? []);
  });

test('verify: every trace of the corpus is what its description says', async (t) => {
  const names = corpus === undefined ? [] : readdirSync(corpus, { withFileTypes: true });
  let traces = 0;
  for (const entry of names) {
    if (!entry.isDirectory() || entry.name === 'src' || entry.name.startsWith('multi-')) continue;
    const report = await verifyStore(join(corpus as string, entry.name));
    t.deepEqual(codesOf(report), faulty[entry.name] ?? [], entry.name);
    traces += report.traces.length;
  }
  t.true(corpus === undefined || traces > 190);
});

test('verify: counts what babeltrace2 says was discarded', async (t) => {
  const names = corpus === undefined ? [] : readdirSync(corpus);
  let compared = 0;
  for (const name of names) {
    const warnings = join(corpus as string, name, 'expected.warnings.txt');
    // The copies of the CTF 2 traces have warnings of their own.
    if (name.startsWith('synth-ctf2') || !hasWarnings(warnings)) continue;
    const text = readFileSync(warnings, 'utf8');
    const { streams } = await verifyStore(join(corpus as string, name));
    const sum = (what: RegExp) =>
      [...text.matchAll(what)].reduce((total, [, n]) => total + BigInt(n as string), 0n);
    t.is(
      streams.reduce((total, { eventsDiscarded }) => total + eventsDiscarded, 0n),
      sum(/discarded (\d+) events?/g),
      name,
    );
    t.is(
      streams.reduce((total, { packetsLost }) => total + packetsLost, 0n),
      sum(/discarded (\d+) packets?/g),
      name,
    );
    compared += 1;
  }
  t.true(corpus === undefined || compared >= 8);
});

function hasWarnings(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}

test('verify: the files of one stream are one stream over all chunks, in the order of their times', async (t) => {
  const { streams, traces } = await verifyStore(fixture('captures/rotation'));
  t.is(traces.length, 2);
  t.is(streams.length, 2);
  for (const { paths, packets } of streams) {
    t.is(paths.length, 2);
    t.regex(paths[0] as string, /-0\/ust\//);
    t.regex(paths[1] as string, /-1\/ust\//);
    t.is(packets, 3);
  }
});

test('verify: chunks whose predecessor was thrown away are clean: a stream may begin anywhere', async (t) => {
  const whole = await verifyStore(fixture('captures/rotation'));
  const copy = copyOf(t, fixture('captures/rotation'));
  copy.remove(whole.traces[0]?.path as string);
  const { streams, clean } = await verifyStore(copy.directory);
  t.true(clean);
  t.is(streams.length, 2);
  t.true(streams.every(({ packets }) => packets === 2));
});

test('verify: a directory without traces, and none at all', async (t) => {
  t.deepEqual(codesOf(await verifyStore(fixture('corpus/synth-rotated/trace/subdir'))), ['no-trace']);
  await t.throwsAsync(verifyStore(fixture('no such directory')), { code: 'MR_ERR_DISK_READ' });
});
