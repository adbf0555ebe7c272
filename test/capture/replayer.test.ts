import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { encodeUtterance } from '../../lib/capture/conversation.ts';
import { replay } from '../../lib/capture/replayer.ts';
import { createLogFile, type LogEntry } from '../../lib/disk/log-writer.ts';
import { relayOptions } from '../../lib/relay/defaults.ts';
import { createRelay } from '../../lib/relay/server.ts';

const fixture = fileURLToPath(new URL('../../../fixtures/captures/ust-plain/', import.meta.url));
const host = '127.0.0.1';
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-replay-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

function tree(path: string): Map<string, string> {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(path, name)).isFile(),
  );
  return new Map(files.sort().map((name) => [name, readFileSync(join(path, name), 'hex')]));
}

test.serial(
  'replay: a recorded session of the real producer leaves in our relay what lttng-relayd stored',
  async (t) => {
    const outputPath = temporary(t);
    const zone = process.env.TZ;
    process.env.TZ = 'UTC';
    t.teardown(() => {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    });
    const relay = createRelay(relayOptions(outputPath));
    await relay.start();
    const { control, data } = relay.addresses;
    const report = await replay({ path: join(fixture, 'conversation.mrlog'), control, data });
    await relay.close();
    t.like(report, { connections: 2, requests: 30, replies: 29, packets: 4 });
    t.deepEqual(tree(outputPath), tree(join(fixture, 'oracle')));
  },
);

/** Requests and replies by hand, for a relay that gives handle 0x11 and session 0x22. Source: relay-protocol, 18. */
const header = (size: string, command: string): string =>
  `00000000 00000000 00000000 ${size} ${command} 00000000`;
const version = hex(`${header('00000008', '00000005')} 00000002 0000000d`);
const createSession = hex(`${header('00000042', '00000002')}
  00000003 00000003 00000001 00000000 0000 4fd983d1e2674e59beb273be5f2c6231 00000000 00000000
  00000000 6b008ed7 00 00000000 00000000 733100 766d00 00`);
const addStream = hex(`${header('0000002c', '00000001')} 00000005 00000007
  ${'00'.repeat(24)} 63685f3000 6b65726e656c00`);
const sendIndex = (stream: string): Buffer =>
  hex(`${header('00000050', '0000000d')} ${stream} ${'00'.repeat(72)}`);
const metadata = (stream: string): Buffer => hex(`${header('0000000e', '00000006')} ${stream} 00000000 2f2a`);
const rotate = (stream: string): Buffer =>
  hex(
    `${header('00000024', '00000012')} 00000001 01 7f000039e2adf3 00000000 00000001 ${stream} 00000000 00000000`,
  );
const dataPending = (stream: string): Buffer =>
  hex(`${header('00000010', '00000008')} ${stream} 00000000 00000000`);
const begin = (session: string): Buffer => hex(`${header('00000008', '0000000a')} ${session}`);
const dataFrame = (stream: string): Buffer =>
  hex(`00000000 00000000 ${stream} 00000000 00000000 00000004 00000000 c11ffcc1`);

const recordedStream = '00000000 00000011';
const recordedSession = '00000000 00000022';
const liveStream = '00000000 00000333';
const liveSession = '00000000 00000444';

const ok = '0000000a';
const sessionReply = (session: string): string => `${session} ${ok} 00000002 7300`;

const opens: LogEntry[] = [
  encodeUtterance({ kind: 'connectionOpen', connection: 0, role: 'control', peer: 'x' }),
  encodeUtterance({ kind: 'connectionOpen', connection: 1, role: 'data', peer: 'x' }),
];
const ends: LogEntry[] = [0, 1].flatMap((connection) =>
  (['toServer', 'fromServer'] as const).map((direction) =>
    encodeUtterance({ kind: 'connectionEnd', connection, direction, outcome: 'end' }),
  ),
);
const says = (bytes: Buffer, connection = 0): LogEntry =>
  encodeUtterance({ kind: 'bytes', connection, direction: 'toServer', bytes });
const hears = (reply: string): LogEntry =>
  encodeUtterance({ kind: 'bytes', connection: 0, direction: 'fromServer', bytes: hex(reply) });

const greeting = [
  says(version),
  hears('00000002 0000000d'),
  says(createSession),
  hears(sessionReply(recordedSession)),
  says(addStream),
  hears(`${recordedStream} ${ok}`),
];
const greeted: Record<number, string[]> = {
  5: ['00000002 0000000f'],
  2: [sessionReply(liveSession)],
  1: [`${liveStream} ${ok}`],
};

async function conversation(t: ExecutionContext, entries: LogEntry[]): Promise<string> {
  const path = join(temporary(t), 'a.mrlog');
  await pipeline([...opens, ...entries, ...ends], createLogFile(path, { content: 'conversation' }));
  return path;
}

/** A relay by hand: answers each command with its next scripted reply, and keeps what it heard on both ports. */
async function scripted(t: ExecutionContext, replies: Record<number, string[]>) {
  const heard = { control: [] as Buffer[], data: [] as Buffer[] };
  const queues = new Map(Object.entries(replies).map(([code, texts]) => [Number(code), [...texts]]));
  const serve = async (onSocket: (socket: Socket) => void) => {
    const server = createServer((socket) => onSocket(socket.on('error', () => {})));
    server.listen(0, host);
    await once(server, 'listening');
    t.teardown(() => server.close());
    return { host, port: (server.address() as AddressInfo).port };
  };
  const control = await serve((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      while (bytes.length >= 24 && bytes.length >= 24 + bytes.readUInt32BE(12)) {
        const request = bytes.subarray(0, 24 + bytes.readUInt32BE(12));
        bytes = bytes.subarray(request.length);
        heard.control.push(request);
        const reply = queues.get(request.readUInt32BE(16))?.shift();
        if (reply === 'close') socket.destroy();
        // byte by byte, as far as the system lets it
        else for (const byte of hex(reply ?? '')) socket.write(Buffer.of(byte));
      }
    });
  });
  const data = await serve((socket) => socket.on('data', (bytes) => heard.data.push(bytes)));
  return { control, data, heard };
}

test('replay: the live relay hears its own handles and session ids, all else as recorded', async (t) => {
  const path = await conversation(t, [
    ...greeting,
    // a packet and its metadata in awkward pieces
    says(dataFrame(recordedStream).subarray(0, 20), 1),
    says(metadata(recordedStream).subarray(0, 30)),
    says(dataFrame(recordedStream).subarray(20), 1),
    says(metadata(recordedStream).subarray(30)),
    says(sendIndex(recordedStream)),
    hears(ok),
    says(rotate(recordedStream)),
    hears(ok),
    says(begin(recordedSession)),
    hears(ok),
  ]);
  const relay = await scripted(t, { ...greeted, 13: [ok], 18: [ok], 10: [ok] });
  const report = await replay({ path, control: relay.control, data: relay.data });
  t.deepEqual(relay.heard.control, [
    version,
    createSession,
    addStream,
    metadata(liveStream),
    sendIndex(liveStream),
    rotate(liveStream),
    begin(liveSession),
  ]);
  t.deepEqual(Buffer.concat(relay.heard.data), dataFrame(liveStream));
  t.like(report, { requests: 7, replies: 6, packets: 1, sessions: [{ recordedPath: 's', path: 's' }] });
});

test('replay: an answer that is not the recorded one ends it, with the name of the command', async (t) => {
  const path = await conversation(t, [...greeting, says(sendIndex(recordedStream)), hears(ok)]);
  const relay = await scripted(t, { ...greeted, 13: ['0000000b'] });
  await t.throwsAsync(replay({ path, control: relay.control, data: relay.data }), {
    code: 'MR_ERR_CAPTURE_MISMATCH',
    message: /sendIndex was ret 11, recorded ret 10/,
  });
});

test('replay: a relay that negotiates another version cannot be played to', async (t) => {
  const path = await conversation(t, greeting);
  const relay = await scripted(t, { 5: ['00000002 0000000a'] });
  await t.throwsAsync(replay({ path, control: relay.control, data: relay.data }), {
    code: 'MR_ERR_CAPTURE_MISMATCH',
    message: /negotiated version was 2.10, recorded 2.13/,
  });
});

test('replay: "still pending" is asked again until it is what was recorded, and "no more" is welcome early', async (t) => {
  const path = await conversation(t, [
    ...greeting,
    says(dataPending(recordedStream)),
    hears('00000000'),
    says(dataPending(recordedStream)),
    hears('00000001'),
  ]);
  const relay = await scripted(t, { ...greeted, 8: ['00000001', '00000001', '00000000', '00000000'] });
  const report = await replay({ path, control: relay.control, data: relay.data });
  t.is(report.askedAgain, 2);
  t.is(relay.heard.control.length, 3 + 4);
});

test('replay: a relay that does not answer, or not in time what it should, is given up', async (t) => {
  const path = await conversation(t, [...greeting, says(dataPending(recordedStream)), hears('00000000')]);
  const silent = await scripted(t, greeted);
  await t.throwsAsync(replay({ path, control: silent.control, data: silent.data, replyTimeoutMs: 100 }), {
    code: 'MR_ERR_CAPTURE_MISMATCH',
    message: /dataPending was never, recorded ret 0/,
  });
  const busy = await scripted(t, { ...greeted, 8: Array.from({ length: 1000 }, () => '00000001') });
  await t.throwsAsync(replay({ path, control: busy.control, data: busy.data, replyTimeoutMs: 100 }), {
    code: 'MR_ERR_CAPTURE_MISMATCH',
    message: /dataPending was ret 1, recorded ret 0/,
  });
});

test('replay: a relay that hangs up is named, and so is one that does not', async (t) => {
  const path = await conversation(t, [...greeting, says(begin(recordedSession)), hears(ok)]);
  const closing = await scripted(t, { ...greeted, 10: ['close'] });
  await t.throwsAsync(replay({ path, control: closing.control, data: closing.data }), {
    code: 'MR_ERR_NETWORK_LOST',
  });
  const early = await conversation(t, [
    ...greeting,
    encodeUtterance({ kind: 'connectionEnd', connection: 0, direction: 'fromServer', outcome: 'end' }),
  ]);
  const staying = await scripted(t, greeted);
  await t.throwsAsync(
    replay({ path: early, control: staying.control, data: staying.data, replyTimeoutMs: 100 }),
    { code: 'MR_ERR_CAPTURE_MISMATCH', message: /connection 0 was open, recorded ended by the relay/ },
  );
});

test('replay: can be called off, at any pace', async (t) => {
  const path = await conversation(t, greeting);
  const relay = await scripted(t, greeted);
  const signal = AbortSignal.abort(new Error('enough'));
  await t.throwsAsync(replay({ path, control: relay.control, data: relay.data, signal }), {
    message: 'enough',
  });
  const silent = await scripted(t, {});
  const later = new AbortController();
  const waiting = replay({ path, control: silent.control, data: silent.data, signal: later.signal });
  while (silent.heard.control.length === 0) await new Promise(setImmediate);
  later.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
});

test('replay: keeps the recorded pace where it is told to', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  const timed = [...opens, ...greeting, ...ends].map((entry, i) => ({
    ...entry,
    timeNs: 1_000_000_000n + BigInt(i) * 20_000_000n,
  }));
  await pipeline(timed, createLogFile(path, { content: 'conversation' }));
  const relay = await scripted(t, greeted);
  const report = await replay({ path, control: relay.control, data: relay.data, speed: 2 });
  t.is(report.recordedMs, 220);
  t.true(report.elapsedMs >= 109, `${report.elapsedMs} ms`);
});

test('replay: a torn recording is played as far as it goes', async (t) => {
  const path = await conversation(t, greeting);
  truncateSync(path, statSync(path).size - 120);
  const relay = await scripted(t, greeted);
  const report = await replay({ path, control: relay.control, data: relay.data });
  t.is(report.connections, 2);
});
