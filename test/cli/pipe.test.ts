import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../cli/main.ts';
import { captureSink } from '../../lib/disk/capture-sink.ts';
import { captureSource } from '../../lib/disk/capture-source.ts';
import { createLogFile } from '../../lib/disk/log-writer.ts';
import { loadCapture, relayOptions } from '../../lib/index.ts';
import { createRelay } from '../../lib/relay/server.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { looseSlab } from '../../lib/stage/slab.ts';
import { data, index, opening, sessionEnd, streamEnd } from '../helpers/frames.ts';
import { fakeContext, temporary } from './fake-context.ts';

process.env.TZ = 'UTC'; // trace chunks are named by local time, and these were recorded in UTC

const bin = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));

/** A capture of one session of `packets` packets of 1000 bytes. */
async function capture(t: ExecutionContext, packets: number): Promise<string> {
  const path = join(temporary(t), 'a.mrlog');
  const batches = Array.from(
    { length: packets },
    (_, n): FrameBatch => ({
      slab: looseSlab(Buffer.alloc(1000, n)),
      frames: [data(BigInt(n), { end: 1000, dataSizeBytes: 1000 }), index(BigInt(n))],
    }),
  );
  const ends = [streamEnd(BigInt(packets - 1)), streamEnd(undefined, 9), sessionEnd()];
  const all = [
    { slab: looseSlab(Buffer.from('metadata')), frames: opening() },
    ...batches,
    { slab: undefined, frames: ends },
  ];
  await pipeline(Readable.from(all), captureSink(createLogFile(path, { content: 'frames' })));
  return path;
}

/** What is stored below a directory, as text that shows where it differs. */
function filesBelow(path: string): Record<string, string> {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => statSync(join(path, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(path, name), 'hex')]));
}

async function framesOf(path: string): Promise<Frame[]> {
  const batches = (await captureSource({ path }).toArray()) as FrameBatch[];
  return batches.flatMap(({ frames }) =>
    frames.map((frame) => ('start' in frame ? { ...frame, start: 0, end: frame.end - frame.start } : frame)),
  );
}

/** Runs the program; resolves with its exit status and words. */
function program(args: string[]) {
  const child = spawn(process.execPath, [bin, 'pipe', ...args]);
  let words = '';
  child.stderr.on('data', (bytes: Buffer) => {
    words += bytes.toString();
  });
  const status = once(child, 'close').then(([code]) => code as number | null);
  return { child, status, words: () => words };
}

test('pipe: a capture goes through two processes and comes out as it was', async (t) => {
  const from = await capture(t, 2000);
  const to = join(temporary(t), 'b.mrlog');
  const [left, right] = [program([`capture:${from}`, '-']), program(['-', `capture:${to}`])];
  left.child.stdout.pipe(right.child.stdin);
  t.is(await left.status, 0, left.words());
  t.is(await right.status, 0, right.words());
  t.deepEqual(await framesOf(to), await framesOf(from));
  t.regex(right.words(), /1 sessions, 2 streams, 2000 packets, 1\.9 MiB in/);
});

test('pipe: a reader that dies fails the sender, which says so', async (t) => {
  const { child, status, words } = program([`capture:${await capture(t, 5000)}`, '-']);
  await once(child.stdout, 'readable');
  child.stdout.destroy();
  t.is(await status, 1);
  t.regex(words(), /standard output: nobody reads it any more/);
});

test('pipe: a sender that dies leaves what came, closed, and status 1', async (t) => {
  const from = await capture(t, 50);
  const to = join(temporary(t), 'b.mrlog');
  truncateSync(from, readFileSync(from).length - 500);
  const { child, status, words } = program(['-', `capture:${to}`]);
  child.stdin.end(readFileSync(from));
  t.is(await status, 1);
  t.regex(words(), /standard input breaks off/);
  t.regex(words(), /1 of 1 sessions were cut short/);
  t.like((await framesOf(to)).at(-1), { kind: 'sessionEnd', outcome: 'abort' });
});

test('pipe: a signal ends it in good order, with what has come', async (t) => {
  const from = await capture(t, 50);
  const to = join(temporary(t), 'b.mrlog');
  const control = join(temporary(t), 'c.sock');
  const { child, status, words } = program(['-', `capture:${to}`, '--control', control]);
  child.stdin.write(readFileSync(from).subarray(0, 30_000));
  const deadline = Date.now() + 10_000;
  for (let packets = 0; packets < 20 && Date.now() < deadline; ) {
    const context = fakeContext(t, ['ctl', control, 'status']);
    if ((await main(context)) === 0)
      packets = (JSON.parse(context.words('stdout')) as { packets: number }).packets;
  }
  child.kill('SIGTERM');
  t.is(await status, 1);
  t.regex(words(), /cut short/);
  t.true((await framesOf(to)).filter(({ kind }) => kind === 'data').length >= 20);
});

test('pipe: only the sessions and streams that are asked for pass', async (t) => {
  const from = await capture(t, 3);
  const run = async (...options: string[]) => {
    const to = join(temporary(t), 'b.mrlog');
    const context = fakeContext(t, ['pipe', `capture:${from}`, `capture:${to}`, '--json', ...options]);
    t.is(await main(context), 0, context.words('stderr'));
    return JSON.parse(context.words('stdout')) as object;
  };
  t.like(await run(), { outcome: 'end', sessions: 1, streams: 2, packets: 3, bytes: 3000, missing: [] });
  t.like(await run('--session', 's?'), { sessions: 1, packets: 3 });
  t.like(await run('--session', 'host/s1', '--stream', '*/ch_0'), { sessions: 1, streams: 2, packets: 3 });
  t.like(await run('--stream', 'other*'), { sessions: 1, streams: 1, packets: 0 });
  // the metadata of this capture is none, so there is no clock, and no packet can be judged
  t.like(await run('--begin', '2020-01-01'), { packets: 3 });
  t.like(await run('--session', 'other'), { sessions: 0, packets: 0 });
});

test('pipe: wrong usage is status 2 with a reason, and the help lists the pairs', async (t) => {
  const refused = async (message: RegExp, ...argv: string[]) => {
    const context = fakeContext(t, ['pipe', ...argv]);
    t.is(await main(context), 2);
    t.regex(context.words('stderr'), message);
  };
  await refused(/SOURCE and a SINK/, '-');
  await refused(/of which day/, '-', '-', '--begin', '12:30');
  await refused(/ends before it begins/, '-', '-', '--begin', '20', '--end', '10');
  await refused(/unknown protocol.*character 1/, 'http://x', '-');
  await refused(/live:\/\/h\/host\/a\/b cannot be piped|no sink/, '-', 'live://h/host/a/b');
  const context = fakeContext(t, ['pipe', '--help']);
  t.is(await main(context), 0);
  t.regex(context.words('stdout'), /capture stdio +send a frame log through ssh/);
  for (const line of context.words('stdout').split('\n')) t.true(line.length <= 110, line);
});

test('pipe: a directory with a trace of LTTng passes whole', async (t) => {
  const oracle = fileURLToPath(new URL('../../../fixtures/captures/rotation/oracle', import.meta.url));
  const to = join(temporary(t), 'b.mrlog');
  const context = fakeContext(t, ['pipe', oracle, `capture:${to}`, '--json']);
  t.is(await main(context), 0, context.words('stderr'));
  t.like(JSON.parse(context.words('stdout')), {
    sessions: 1,
    streams: 3,
    packets: 6,
    bytes: 24_576,
    missing: [],
  });
  t.is((await framesOf(to)).filter(({ kind }) => kind === 'index').length, 6);

  const log = fileURLToPath(
    new URL('../../../fixtures/captures/rotation/conversation.mrlog', import.meta.url),
  );
  const wrong = fakeContext(t, ['pipe', log, `capture:${to}`]);
  t.is(await main(wrong), 2);
  t.regex(wrong.words('stderr'), /it is a frame log: capture:/);
});

test('pipe: packets of a span of time are those in which something may have happened then', async (t) => {
  const oracle = fileURLToPath(new URL('../../../fixtures/captures/two-channels/oracle', import.meta.url));
  const passed = async (...options: string[]) => {
    const to = join(temporary(t), 'b.mrlog');
    const context = fakeContext(t, ['pipe', oracle, `capture:${to}`, '--json', '--gmt', ...options]);
    t.is(await main(context), 0, context.words('stdout'));
    return (JSON.parse(context.words('stdout')) as { packets: number }).packets;
  };
  const all = await passed();
  t.true(all > 3, `${all}`);
  t.is(await passed('--begin', '2026-11-20', '--end', '2026-11-21'), all);
  t.is(await passed('--end', '2026-11-20'), 0);
  t.is(await passed('--begin', '2026-11-21'), 0);
  // as babeltrace2 prints them, the events of this session lie between 22:08:33.82015 and 22:08:33.82093
  const first = await passed('--end', '2026-11-20 22:08:33.8205');
  const second = await passed('--begin', '2026-11-20 22:08:33.8205');
  t.true(first > 0 && second > 0 && first + second >= all, `${first} ${second} ${all}`);
});

test('pipe: a trace goes into a relay, over TCP or its packets over UDP, and back into a directory', async (t) => {
  const plain = fileURLToPath(new URL('../../../fixtures/captures/ust-plain/oracle', import.meta.url));
  const relay = createRelay(relayOptions(temporary(t), { udp: { host: '127.0.0.1', port: 0 } }));
  await relay.start();
  t.teardown(() => relay.destroy());
  const { control, data, udp } = relay.addresses;
  const packetsIn = async (source: string, sink: string) => {
    const context = fakeContext(t, ['pipe', source, sink, '--json']);
    t.is(await main(context), 0, context.words('stdout'));
    return (JSON.parse(context.words('stdout')) as { packets: number }).packets;
  };
  t.is(await packetsIn(plain, `net://127.0.0.1:${control.port}:${data.port}/tcp`), 4);
  t.is(await packetsIn(plain, `tcp://127.0.0.1:${control.port}/udp,udp://127.0.0.1:${udp?.port}`), 4);
  await relay.close();
  const { outputPath } = relay.status();
  t.is(await packetsIn(join(outputPath, 'vm/udp'), join(temporary(t), 'anew')), 4);
  const trace = 'ust/uid/0/64-bit';
  const [name = ''] = readdirSync(join(plain, 'vm'));
  for (const file of ['channel_0', 'channel_1', 'metadata', 'index/channel_0.idx']) {
    const original = readFileSync(join(plain, 'vm', name, trace, file));
    for (const way of ['tcp', 'udp'])
      t.deepEqual(readFileSync(join(outputPath, 'vm', way, trace, file)), original);
  }
});

for (const name of ['ust-plain', 'rotation', 'live'])
  test(`pipe: what a producer sends to a net:// source (${name}) lies in the next relay as it would have lain here`, async (t) => {
    const recording = fileURLToPath(new URL(`../../../fixtures/captures/${name}`, import.meta.url));
    const relay = createRelay(relayOptions(temporary(t)));
    await relay.start();
    t.teardown(() => relay.destroy());
    const { control, data } = relay.addresses;
    const between = fakeContext(t, [
      'pipe',
      'net://localhost:0:0',
      `net://127.0.0.1:${control.port}:${data.port}`,
      '--json',
    ]);
    const passing = main(between);
    await between.said('listening');
    const [, controlPort, dataPort] = /control \S+:(\d+), data \S+:(\d+)/.exec(between.words('stderr')) ?? [];
    const { replay } = await loadCapture();
    const host = '127.0.0.1';
    await replay({
      path: join(recording, 'conversation.mrlog'),
      control: { host, port: Number(controlPort) },
      data: { host, port: Number(dataPort) },
    });
    between.signal('SIGTERM');
    t.is(await passing, 0, between.words('stdout') + between.words('stderr'));
    await relay.close();
    t.deepEqual(filesBelow(relay.status().outputPath), filesBelow(join(recording, 'oracle')));
  });

test('pipe: an image goes into an image', async (t) => {
  const folder = temporary(t);
  const [image, copy] = [join(folder, 'a.img'), join(folder, 'b.img')];
  writeFileSync(image, Buffer.alloc(100_000, 'disk'));
  t.is(await main(fakeContext(t, ['pipe', image, copy])), 0);
  t.true(readFileSync(copy).equals(readFileSync(image)));
});

test('pipe: a source that cannot be read is status 1, named', async (t) => {
  const context = fakeContext(t, ['pipe', 'capture:/no/such', `capture:${join(temporary(t), 'x')}`]);
  t.is(await main(context), 1);
  t.regex(context.words('stderr'), /capture \/no\/such: .*ENOENT/);
});
