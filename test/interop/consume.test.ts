/**
 * The network consumer into real relays: recorded sessions of LTTng, streamed by `millrace consume`, must lie there as
 * they lay at their source, byte for byte, and read the same in babeltrace2.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { tree } from '../helpers/relay.ts';
import { fixture, loseTwoBefore, tracesBelow } from '../helpers/traces.ts';
import { missingPeers, peersRequired, projectRoot } from './helpers/peers.ts';
import { Relay, type RelayKind, standardPorts } from './helpers/relay.ts';
import { World } from './helpers/world.ts';

const bin = join(projectRoot, 'dist/cli/bin.js');
const missing = missingPeers();

function real(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (missing === undefined) test.serial(title, run);
  else if (peersRequired()) test(title, (t) => t.fail(missing));
  else test.skip(`${title} (${missing})`, () => {});
}

/** A relay of this kind in a world of its own, and a consumer beside it. */
async function open(t: ExecutionContext, kind: RelayKind) {
  t.timeout(90_000);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-consume-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const world = await World.open(t);
  const outputPath = join(folder, 'out');
  mkdirSync(outputPath);
  const relay = await Relay.start(world, { kind, outputPath, ports: standardPorts, args: [] });
  const consume = async (...args: string[]) => {
    const { status, stderr } = await world.run(process.execPath, [bin, 'consume', ...args]);
    t.is(status, 0, `${args.join(' ')}\n${stderr}`);
  };
  const events = async (path: string) => {
    const { status, stdout, stderr } = await world.run('babeltrace2', ['--no-delta', path]);
    t.is(status, 0, stderr);
    return stdout.split('\n').filter((line) => line !== '');
  };
  return { world, relay, outputPath, consume, events, folder };
}

/** Files by path, without what a chunk's name says of time. */
function files(directory: string): Record<string, Buffer> {
  const found = Object.entries(tree(directory)).filter(
    (entry): entry is [string, Buffer] => entry[1] !== null,
  );
  return Object.fromEntries(
    found.map(([path, bytes]) => [path.replace(/\d{8}T\d{6}[+-]\d{4}/g, 'TIME'), bytes]),
  );
}

function same(t: ExecutionContext, got: Record<string, Buffer>, expected: Record<string, Buffer>): void {
  t.deepEqual(Object.keys(got).sort(), Object.keys(expected).sort());
  for (const [path, bytes] of Object.entries(expected)) t.true(got[path]?.equals(bytes) === true, path);
}

const sessions = [
  'ust-plain',
  'two-channels',
  'two-rounds',
  'per-process',
  'rotation',
  'clear',
  'live',
  'two-consumers-rotation',
];
for (const kind of ['lttng-relayd', 'millrace'] as const)
  real(`recorded sessions lie in ${kind} byte for byte as at their source`, async (t) => {
    const { relay, outputPath, consume, events } = await open(t, kind);
    for (const name of sessions) await consume(fixture(`captures/${name}/oracle`), '--to', 'net://127.0.0.1');
    t.is(await relay.stop(), '0', relay.errorText);
    const expected = Object.assign(
      {},
      ...sessions.map((name) => files(fixture(`captures/${name}/oracle`))),
    ) as Record<string, Buffer>;
    same(t, files(outputPath), expected);
    for (const name of sessions) {
      const source = fixture(`captures/${name}/oracle`);
      const paths = Object.keys(files(source)).map((path) => path.split('/').slice(0, 2).join('/'));
      for (const path of new Set(paths))
        t.deepEqual(await events(join(outputPath, path)), await events(join(source, path)), path);
    }
  });

real('packets behind a gap lie in the trace chunk that they lay in, in lttng-relayd as well', async (t) => {
  const { relay, outputPath, consume, folder } = await open(t, 'lttng-relayd');
  const source = join(folder, 'source');
  cpSync(fixture('captures/rotation/oracle'), source, { recursive: true });
  loseTwoBefore(tracesBelow(source)[1] as string);
  await consume(source, '--to', 'net://127.0.0.1');
  t.is(await relay.stop(), '0', relay.errorText);
  same(t, files(outputPath), files(source));
});

real('every minor from 4 on arrives in lttng-relayd, with an index of its version', async (t) => {
  const { relay, outputPath, consume, events } = await open(t, 'lttng-relayd');
  const source = fixture('captures/ust-plain/oracle');
  for (let minor = 4; minor <= 11; minor += 1)
    await consume(source, '--to', 'net://127.0.0.1', '--minor', String(minor), '--session', `m${minor}`);
  t.is(await relay.stop(), '0', relay.errorText);
  const expected = files(join(source, 'vm/plain-20261120-214536'));
  for (let minor = 4; minor <= 11; minor += 1) {
    const session = join(outputPath, `vm/m${minor}-20261120-214536`);
    const got = files(session);
    t.deepEqual(Object.keys(got).sort(), Object.keys(expected).sort());
    for (const [path, bytes] of Object.entries(expected)) {
      if (!path.endsWith('.idx') || minor >= 8) t.true(got[path]?.equals(bytes), `${minor} ${path}`);
      else t.deepEqual(got[path]?.subarray(0, 16).toString('hex'), 'c1f1dcc1000000010000000000000038');
    }
    t.deepEqual(await events(session), await events(join(source, 'vm/plain-20261120-214536')));
  }
});

real('lttng-relayd refuses what is older than 2.4, and the consumer says so', async (t) => {
  const { world, relay } = await open(t, 'lttng-relayd');
  const args = [
    bin,
    'consume',
    fixture('captures/ust-plain/oracle'),
    '--to',
    'net://127.0.0.1',
    '--minor',
    '3',
  ];
  const { status, stderr } = await world.run(process.execPath, args);
  t.is(status, 1);
  t.regex(stderr, /refused createSession with code 25/);
  t.is(await relay.stop(), '0');
});

real(
  'a consumer goes from lttng-relayd to millrace while it runs, and no event is lost or doubled',
  async (t) => {
    const { world, relay, outputPath, events, folder } = await open(t, 'lttng-relayd');
    const ports = [6342, 6343, 6344] as const;
    const second = join(folder, 'second');
    const other = await Relay.start(world, { kind: 'millrace', outputPath: second, ports, args: [] });
    const source = fixture('captures/two-channels/oracle');
    const control = join(folder, 'ctl');
    const slowly = ['--to', 'net://127.0.0.1', '--rate', '16k', '--control', control];
    const running = world.start(process.execPath, [bin, 'consume', source, ...slowly]);
    const ctl = async (...words: string[]) => world.run(process.execPath, [bin, 'ctl', control, ...words]);
    for (let packets = 0; packets < 2; ) {
      const { status, stdout } = await ctl('status');
      if (status === 0) packets = (JSON.parse(stdout) as { passed: { packets: number } }).passed.packets;
    }
    const moved = await ctl('set-uri', 'net://127.0.0.1:6342:6343');
    t.is(moved.status, 0, moved.stderr);
    const { code } = await running.ended;
    t.is(code, 0, running.errorText);
    t.is(await relay.stop(), '0');
    t.is(await other.stop(), '0');
    const [a, b] = [await events(outputPath), await events(second)];
    t.true(a.length > 0 && b.length > 0, `${a.length} and ${b.length}`);
    t.deepEqual([...a, ...b].sort(), (await events(source)).sort());
    t.true(
      Object.keys(files(second)).every((path) => path.includes('-part-2-')),
      relative(folder, second),
    );
  },
);
