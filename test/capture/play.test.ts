import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { encodeUtterance, type Utterance } from '../../lib/capture/conversation.ts';
import { type PlayOptions, type PlayReport, play } from '../../lib/capture/play.ts';
import type { Ports } from '../../lib/capture/ports.ts';
import { replay } from '../../lib/capture/replayer.ts';
import { createLogFile } from '../../lib/disk/log-writer.ts';

const host = '127.0.0.1';
const open = (connection = 0): Utterance => ({
  kind: 'connectionOpen',
  connection,
  role: 'other',
  peer: 'x',
});
const ask = (text: string, connection = 0): Utterance => ({
  kind: 'bytes',
  connection,
  direction: 'toServer',
  bytes: Buffer.from(text),
});
const answer = (text: string, connection = 0): Utterance => ({
  kind: 'bytes',
  connection,
  direction: 'fromServer',
  bytes: Buffer.from(text),
});
const ends = (connection = 0): Utterance[] => [
  { kind: 'connectionEnd', connection, direction: 'toServer', outcome: 'end' },
  { kind: 'connectionEnd', connection, direction: 'fromServer', outcome: 'end' },
];
const talk: Utterance[] = [
  open(),
  ask('hel'),
  ask('lo?'),
  answer('yes'),
  ask('bye'),
  answer('so long'),
  ...ends(),
];

/** Writes a recording, one record every 100 ms. */
async function recording(t: ExecutionContext, said: Utterance[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-play-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'a.mrlog');
  const entries = said.map((each, at) => ({ ...encodeUtterance(each), timeNs: BigInt(at) * 100_000_000n }));
  await pipeline(Readable.from(entries), createLogFile(path, { content: 'conversation' }));
  return path;
}

/** A server that answers a question as soon as it has heard it whole. */
async function server(t: ExecutionContext, answers: Record<string, string>): Promise<number> {
  const listening = createServer({ allowHalfOpen: true }, (socket) => {
    let heard = '';
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString();
      const said = answers[heard];
      if (said === undefined) return;
      heard = '';
      socket.write(said);
    });
    socket.on('end', () => socket.end()).on('error', () => {});
  }).listen(0, host);
  await once(listening, 'listening');
  t.teardown(() => listening.close());
  return (listening.address() as AddressInfo).port;
}

const asClient = (path: string, port: number, options: Partial<PlayOptions> = {}): Promise<PlayReport> =>
  play({ path, side: 'client', ports: { other: { host, port } }, timeoutMs: 300, ...options });

/** Plays the server's side; resolves with the ports, and with the outcome. */
async function asServer(
  path: string,
  ports: Ports,
  options: Partial<PlayOptions> = {},
): Promise<{ ports: Ports; done: Promise<PlayReport> }> {
  let onListening: (ports: Ports) => void = () => {};
  const listening = new Promise<Ports>((resolve) => {
    onListening = resolve;
  });
  const done = play({ path, side: 'server', ports, timeoutMs: 300, onListening, ...options });
  done.catch(() => {});
  return { ports: await listening, done };
}

async function client(t: ExecutionContext, { other }: Ports): Promise<Socket> {
  const socket = connect({ ...(other as { port: number }), host, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

test('play: a client asks as recorded, and the answers may come in any pieces', async (t) => {
  const path = await recording(t, talk);
  const report = await asClient(path, await server(t, { 'hello?': 'yes', bye: 'so long' }));
  t.like(report, { connections: 1, sentBytes: 9, heardBytes: 10 });
});

test('play: the first byte that a server says otherwise is named', async (t) => {
  const path = await recording(t, talk);
  await t.throwsAsync(asClient(path, await server(t, { 'hello?': 'yes', bye: 'so wrong' })), {
    code: 'MR_ERR_CAPTURE_MISMATCH',
    message: /other connection 0: byte 6 was 77726f6e, recorded 6c6f6e67/,
  });
  await t.throwsAsync(asClient(path, await server(t, { 'hello?': 'yes' })), {
    code: 'MR_ERR_CAPTURE_MISMATCH',
    message: /what it says was nothing, recorded 7 bytes more/,
  });
});

test('play: a server answers as recorded, each connection for itself', async (t) => {
  const said = [
    open(0),
    open(1),
    ask('a', 0),
    answer('A', 0),
    ask('b', 1),
    answer('B', 1),
    ...ends(0),
    ...ends(1),
  ];
  const { ports, done } = await asServer(await recording(t, said), { other: { host, port: 0 } });
  const first = await client(t, ports);
  const second = await client(t, ports);
  // the other way round than it was recorded
  second.write('b');
  t.is(String((await once(second, 'data'))[0]), 'B');
  first.end('a');
  t.is(String((await once(first, 'data'))[0]), 'A');
  second.end();
  t.like(await done, { connections: 2, sentBytes: 2, heardBytes: 2 });
});

test('play: a client that says something else is told apart at its first byte', async (t) => {
  const { ports, done } = await asServer(await recording(t, talk), { other: { host, port: 0 } });
  const socket = await client(t, ports);
  socket.write('help!!');
  await t.throwsAsync(done, { message: /byte 3 was 702121, recorded 6c|byte 3 was 70, recorded 6c/ });
});

test('play: a Unix socket serves as well', async (t) => {
  const path = await recording(t, talk);
  const socketPath = `${path}.sock`;
  const { done } = await asServer(path, { other: { path: socketPath } });
  await play({ path, side: 'client', ports: { other: { path: socketPath } } });
  t.like(await done, { connections: 1 });
});

test('play: pauses are kept, scaled, or left out', async (t) => {
  const path = await recording(t, talk);
  const port = await server(t, { 'hello?': 'yes', bye: 'so long' });
  const scaled = await asClient(path, port, { speed: 10 });
  t.is(scaled.recordedMs, 700);
  t.true(scaled.elapsedMs >= 60);
  const calledOff = new AbortController();
  setTimeout(() => calledOff.abort(new Error('called off')), 50);
  const { signal } = calledOff;
  await t.throwsAsync(asClient(path, port, { speed: 0.01, signal }), { message: 'called off' });
});

test('play: a recording without its beginning, or of something else, is refused', async (t) => {
  const path = await recording(t, talk);
  await t.throwsAsync(asClient(path.replace('a.mrlog', 'none'), 1), { code: 'MR_ERR_DISK_READ' });
  const frames = `${path}.frames`;
  await pipeline(
    Readable.from([{ kind: 'published', parts: [Buffer.alloc(4)] }]),
    createLogFile(frames, { content: 'frames' }),
  );
  await t.throwsAsync(asClient(frames, 1), { code: 'MR_ERR_LOG_RECORD', message: /holds no conversation/ });
});

test('play: a real relay, as it was recorded, satisfies the producer that is replayed to it', async (t) => {
  const path = fileURLToPath(
    new URL('../../../fixtures/captures/rotation/conversation.mrlog', import.meta.url),
  );
  const anywhere = { host, port: 0 };
  const { ports, done } = await asServer(path, { control: anywhere, data: anywhere }, { timeoutMs: 5000 });
  const { control, data } = ports as Required<Ports>;
  const told = await replay({ path, control, data });
  const report = await done;
  t.is(report.connections, told.connections);
  t.is(told.askedAgain, 0);
});

test('play: a producer that asks otherwise than recorded is told apart by the command', async (t) => {
  const folder = fileURLToPath(new URL('../../../fixtures/captures', import.meta.url));
  const anywhere = { host, port: 0 };
  const { ports, done } = await asServer(
    join(folder, 'rotation/conversation.mrlog'),
    { control: anywhere, data: anywhere },
    { timeoutMs: 2000 },
  );
  const { control, data } = ports as Required<Ports>;
  await t.throwsAsync(
    replay({ path: join(folder, 'snapshot/conversation.mrlog'), control, data, replyTimeoutMs: 2000 }),
  );
  await t.throwsAsync(done, {
    code: 'MR_ERR_CAPTURE_MISMATCH',
    message: /control connection \d: request \d+ was \w+, recorded \w+/,
  });
});
