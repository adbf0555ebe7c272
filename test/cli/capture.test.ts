import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../cli/main.ts';
import { relayOptions } from '../../lib/index.ts';
import { createRelay } from '../../lib/relay/server.ts';
import { type FakeContext, fakeContext, temporary } from './fake-context.ts';

process.env.TZ = 'UTC'; // trace chunks are named by local time, and these were recorded in UTC

const rotation = fileURLToPath(new URL('../../../fixtures/captures/rotation', import.meta.url));

interface Place {
  role: string;
  host: string;
  port: number;
}

async function relayFor(
  t: ExecutionContext,
): Promise<{ uri: string; outputPath: string; close(): Promise<void> }> {
  const outputPath = temporary(t);
  const relay = createRelay(relayOptions(outputPath));
  await relay.start();
  t.teardown(() => relay.destroy());
  const { control, data } = relay.addresses;
  return { uri: `net://127.0.0.1:${control.port}:${data.port}`, outputPath, close: () => relay.close() };
}

/** The address that a command says it listens on. */
async function listening(context: FakeContext): Promise<string> {
  await context.said('listening');
  await delay(1);
  const [line = ''] = context.words('stdout').split('\n');
  const places = (JSON.parse(line) as { listening: Place[] }).listening;
  return `net://127.0.0.1:${places[0]?.port}:${places[1]?.port}`;
}

function filesBelow(path: string): Record<string, string> {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    names
      .filter((name) => statSync(join(path, name)).isFile())
      .map((name) => [name, readFileSync(join(path, name), 'hex')]),
  );
}

test('capture and replay: what passes between a producer and a relay is recorded, and can be played again', async (t) => {
  const relay = await relayFor(t);
  const path = join(temporary(t), 'talk.mrlog');
  const capture = fakeContext(t, [
    'capture',
    path,
    'net://localhost:0:0',
    relay.uri,
    '--json',
    '--segment-size',
    '2k',
  ]);
  const captured = main(capture);
  const between = await listening(capture);
  const first = fakeContext(t, ['replay', join(rotation, 'conversation.mrlog'), between]);
  t.is(await main(first), 0, first.words('stderr'));
  capture.signal('SIGTERM');
  t.is(await captured, 0, capture.words('stderr'));
  await relay.close();
  t.deepEqual(filesBelow(relay.outputPath), filesBelow(join(rotation, 'oracle')));
  t.true(readdirSync(join(path, '..')).length > 2, 'several files');

  const another = await relayFor(t);
  const again = fakeContext(t, ['replay', path, another.uri, '--json']);
  t.is(await main(again), 0, again.words('stderr'));
  t.regex(again.words('stderr'), /connections, .* said in .* s, all as recorded/);
  t.like(JSON.parse(again.words('stdout')), { askedAgain: 0 });
  await another.close();
  t.deepEqual(filesBelow(another.outputPath), filesBelow(join(rotation, 'oracle')));
});

test('replay: --serve answers a producer as the recorded relay did', async (t) => {
  const path = join(rotation, 'conversation.mrlog');
  const serving = fakeContext(t, ['replay', path, 'net://127.0.0.1:0:0', '--serve', '--json']);
  const served = main(serving);
  const asking = fakeContext(t, ['replay', path, await listening(serving)]);
  t.is(await main(asking), 0, asking.words('stderr'));
  t.is(await served, 0, serving.words('stderr'));
});

test('replay: what goes otherwise is status 1, and named', async (t) => {
  const nobody = fakeContext(t, ['replay', join(rotation, 'conversation.mrlog'), 'net://127.0.0.1:1:2']);
  t.is(await main(nobody), 1);
  t.regex(nobody.words('stderr'), /millrace replay: cannot connect to 127\.0\.0\.1:1/);
  const nothing = fakeContext(t, ['replay', '/no/such', 'net://127.0.0.1:1:2']);
  t.is(await main(nothing), 1);
  t.regex(nothing.words('stderr'), /\/no\/such: ENOENT/);
});

test('replay: a log of frames goes into any sink, at the pace at which it was written if that is asked for', async (t) => {
  const folder = temporary(t);
  const [frames, copy] = [join(folder, 'frames'), join(folder, 'copy')];
  t.is(await main(fakeContext(t, ['pipe', join(rotation, 'oracle'), `capture:${frames}`])), 0);
  const again = fakeContext(t, ['replay', frames, `capture:${copy}`, '--speed', '1', '--json']);
  t.is(await main(again), 0, again.words('stderr'));
  t.like(JSON.parse(again.words('stdout')), { sessions: 1, packets: 6, missing: [] });
  const served = fakeContext(t, ['replay', frames, 'net://localhost:0:0', '--serve']);
  t.is(await main(served), 2);
});

test('capture and replay: wrong usage is status 2', async (t) => {
  const refused = async (message: RegExp, ...argv: string[]) => {
    const context = fakeContext(t, argv);
    t.is(await main(context), 2, argv.join(' '));
    t.regex(context.words('stderr'), message);
  };
  await refused(/LISTEN and SERVER are needed/, 'capture', 'f', 'net://h');
  await refused(/no place to listen/, 'capture', 'f', 'live://h:0', 'net://h');
  await refused(/expected net:/, 'capture', 'f', 'net://h:0:0', '/a/b');
  await refused(/--segments needs/, 'capture', 'f', 'net://h:0:0', 'net://h', '--segments', '2');
  await refused(/FILE and a PEER/, 'replay', 'f');
  await refused(/no factor/, 'replay', 'f', 'net://h', '--speed', '0');
  for (const name of ['capture', 'replay']) {
    const context = fakeContext(t, [name, '--help']);
    t.is(await main(context), 0);
    for (const line of context.words('stdout').split('\n')) t.true(line.length <= 80, line);
  }
});

test('capture: where it cannot listen it leaves no file behind', async (t) => {
  const relay = await relayFor(t);
  const path = join(temporary(t), 'talk.mrlog');
  const context = fakeContext(t, ['capture', path, relay.uri, relay.uri]);
  t.is(await main(context), 1);
  t.regex(context.words('stderr'), /cannot listen|in use/i);
  t.false(existsSync(path));
});
