/** Real session and consumer daemons stream into millrace, which forwards to another relay: both hold the same. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { tree } from '../helpers/relay.ts';
import { missingPeers, peersRequired } from './helpers/peers.ts';
import { Relay, type RelayKind } from './helpers/relay.ts';
import { Scene } from './helpers/scene.ts';

const missing = missingPeers();
const ports = [6342, 6343, 6344] as const;

function real(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (missing === undefined) test.serial(title, run);
  else if (peersRequired()) test(title, (t) => t.fail(missing));
  else test.skip(`${title} (${missing})`, () => {});
}

async function open(t: ExecutionContext, kind: RelayKind, more: readonly string[] = []) {
  t.timeout(90_000);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-forward-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const relayArgs = ['--forward', `net://127.0.0.1:${ports[0]}:${ports[1]}`, ...more];
  const scene = await Scene.open(t, 'millrace', { relayArgs });
  const options = { kind, outputPath: join(folder, 'next'), ports, args: [] };
  const next = await Relay.start(scene.world, options);
  const events = async (path: string) => {
    const { stdout } = await scene.world.run('babeltrace2', ['--no-delta', path]);
    return stdout.split('\n').filter((line) => line.includes('millrace:'));
  };
  return { scene, next, events };
}

/** Files by path, without what a chunk's name says of time. */
function files(directory: string): Map<string, Buffer> {
  const found = Object.entries(tree(directory)).filter(
    (entry): entry is [string, Buffer] => entry[1] !== null,
  );
  return new Map(found.map(([path, bytes]) => [path.replace(/\d{8}T\d{6}[+-]\d{4}/g, 'TIME'), bytes]));
}

/** A session with sub-buffers of 4 KiB, and a program that it traces. */
async function startSmall(scene: Scene, name: string) {
  await scene.lttng(`create ${name} --set-url=net://127.0.0.1`);
  await scene.lttng('enable-channel --userspace --subbuf-size=4096 small');
  await scene.lttng('enable-event --userspace --channel=small millrace:*');
  await scene.lttng('start');
  return await scene.emitter();
}

for (const kind of ['lttng-relayd', 'millrace'] as const)
  real(
    `a session with a rotation lies in ${kind} behind millrace as in millrace, byte for byte`,
    async (t) => {
      const { scene, next, events } = await open(t, kind);
      await scene.lttng('create forwarded --set-url=net://127.0.0.1');
      await scene.lttng('enable-event --userspace millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      const emitted = await emitter.emit(300);
      await scene.lttng('rotate');
      emitted.push(...(await emitter.emit(200)));
      await scene.lttng('stop');
      await scene.lttng('destroy');
      await emitter.finish();
      await scene.endProducers();
      t.is(await scene.relay.stop(), '0', scene.relay.errorText);
      t.is(await next.stop(), '0', next.errorText);
      const [here, there] = [files(scene.relay.outputPath), files(next.outputPath)];
      t.deepEqual([...there.keys()].sort(), [...here.keys()].sort());
      for (const [path, bytes] of here) t.true(there.get(path)?.equals(bytes) === true, path);
      t.is((await events(next.outputPath)).length, emitted.length);
    },
  );

real(
  'lttng-relayd that goes away and comes back gets every event; what may be there twice is named',
  async (t) => {
    const { scene, next, events } = await open(t, 'lttng-relayd');
    const emitter = await startSmall(scene, 'away');
    await emitter.emit(400);
    t.is(await next.stop('SIGKILL'), 'SIGKILL');
    await emitter.emit(400);
    await next.startAgain();
    await emitter.emit(400);
    await scene.lttng('stop');
    await scene.lttng('destroy');
    await emitter.finish();
    await scene.endProducers();
    t.is(await scene.relay.stop(), '0', scene.relay.errorText);
    await next.stop();
    t.regex(scene.relay.errorText, /forward:resumed: .*away-resumed-1.*twice/);
    // One by one: a trace that a kill has torn stops babeltrace2 for all of them.
    const host = join(next.outputPath, 'traced');
    const found = (await Promise.all(readdirSync(host).map((name) => events(join(host, name))))).flat();
    const bodies = new Set(found.map((line) => line.slice(line.indexOf('millrace:'))));
    const expected = await events(scene.relay.outputPath);
    t.true(expected.length > 500, `${expected.length} events`);
    const missed = expected.filter((line) => !bodies.has(line.slice(line.indexOf('millrace:'))));
    t.deepEqual(missed, []);
  },
);

real(
  'millrace that is killed and comes back has the same session as the forwarder, byte for byte',
  async (t) => {
    const { scene, next, events } = await open(t, 'millrace');
    const emitter = await startSmall(scene, 'back');
    for (let kills = 0; kills < 3; kills += 1) {
      await emitter.emit(300);
      t.is(await next.stop('SIGKILL'), 'SIGKILL');
      await emitter.emit(300);
      await next.startAgain();
      if (kills === 1) await scene.lttng('rotate');
    }
    await emitter.emit(300);
    await scene.lttng('stop');
    await scene.lttng('destroy');
    await emitter.finish();
    await scene.endProducers();
    t.is(await scene.relay.stop(), '0', scene.relay.errorText);
    t.is(await next.stop(), '0', next.errorText);
    const [here, there] = [files(scene.relay.outputPath), files(next.outputPath)];
    t.deepEqual([...there.keys()].sort(), [...here.keys()].sort());
    for (const [path, bytes] of here) t.true(there.get(path)?.equals(bytes) === true, path);
    t.deepEqual(await events(next.outputPath), await events(scene.relay.outputPath));
  },
);
