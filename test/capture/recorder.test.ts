import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate as tick } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { decodeUtterance, type Utterance } from '../../lib/capture/conversation.ts';
import { Recorder } from '../../lib/capture/recorder.ts';
import type { LogRecord } from '../../lib/disk/log-parser.ts';
import { readLogFile } from '../../lib/disk/log-reader.ts';
import { createLogFile, LogWriter } from '../../lib/disk/log-writer.ts';

const host = '127.0.0.1';

/** A relay that hands out its connections. */
async function relayFor(t: ExecutionContext): Promise<{ port: number; accepted: () => Promise<Socket> }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, host);
  await once(server, 'listening');
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket.on('error', () => {})));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    accepted: async () => {
      while (sockets.length === 0) await once(server, 'connection');
      return sockets.shift() as Socket;
    },
  };
}

function logFile(t: ExecutionContext): { path: string; log: LogWriter } {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-capture-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'a.mrlog');
  return { path, log: createLogFile(path, { content: 'conversation' }) };
}

async function recorderFor(t: ExecutionContext, log: LogWriter, relayPort: number) {
  const recorder = new Recorder({
    openLog: () => log,
    ports: [{ role: 'control', listen: { host, port: 0 }, server: { host, port: relayPort } }],
  });
  const [address] = await recorder.start();
  t.teardown(() => recorder.close());
  const producer = connect({ ...(address as { port: number }), host, allowHalfOpen: true });
  t.teardown(() => producer.destroy());
  return { recorder, producer };
}

async function recorded(path: string, log: LogWriter): Promise<Utterance[]> {
  log.end();
  await once(log, 'close');
  const records: LogRecord[] = await (await readLogFile(path)).toArray();
  return records.flatMap((record) => decodeUtterance(record) ?? []);
}

test('recorder: passes both directions on, each to its end, and writes down what was said in order', async (t) => {
  const relay = await relayFor(t);
  const { path, log } = logFile(t);
  const { recorder, producer } = await recorderFor(t, log, relay.port);
  producer.write('question');
  const socket = await relay.accepted();
  t.is(String((await once(socket, 'data'))[0]), 'question');
  socket.write('answer');
  t.is(String((await once(producer, 'data'))[0]), 'answer');
  producer.end('last');
  let rest = '';
  socket.on('data', (bytes) => {
    rest += String(bytes);
  });
  await once(socket, 'end');
  t.is(rest, 'last', 'the end of one direction is passed on');
  const late = text(producer);
  socket.end('afterthought');
  t.is(await late, 'afterthought', 'and leaves the other open');
  await recorder.idle();
  const said = (await recorded(path, log)).map((utterance) => {
    if (utterance.kind === 'connectionOpen') return `${utterance.role} ${utterance.connection}`;
    if (utterance.kind === 'bytes') return `${utterance.direction} ${utterance.bytes.toString()}`;
    return `${utterance.direction} ${utterance.outcome}`;
  });
  t.deepEqual(said, [
    'control 0',
    'toServer question',
    'fromServer answer',
    'toServer last',
    'toServer end',
    'fromServer afterthought',
    'fromServer end',
  ]);
});

test('recorder: a producer that breaks off is recorded so, and cut off from the relay', async (t) => {
  const relay = await relayFor(t);
  const { path, log } = logFile(t);
  const { recorder, producer } = await recorderFor(t, log, relay.port);
  producer.write('half');
  const socket = await relay.accepted();
  await once(socket, 'data');
  producer.resetAndDestroy();
  await once(socket, 'end');
  await recorder.idle();
  const ends = (await recorded(path, log)).filter(({ kind }) => kind === 'connectionEnd');
  t.like(ends[0], { direction: 'toServer', outcome: 'abort' });
});

test('recorder: nobody at the relay means that the producer is turned away', async (t) => {
  const relay = createServer().listen(0, host);
  await once(relay, 'listening');
  const { port } = relay.address() as AddressInfo;
  relay.close();
  await once(relay, 'close');
  const { log } = logFile(t);
  const { recorder, producer } = await recorderFor(t, log, port);
  producer.on('error', () => {});
  producer.resume();
  await once(producer, 'end');
  await recorder.idle();
  t.is(recorder.connections, 1);
  log.destroy();
});

test('recorder: a log that stands still holds the producer back', async (t) => {
  const relay = await relayFor(t);
  const taken: Array<() => void> = [];
  let stalled = false;
  const target = {
    write: () => (stalled ? new Promise<void>((resolve) => taken.push(resolve)) : Promise.resolve()),
    close: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
  };
  const log = new LogWriter(() => Promise.resolve(target), { content: 'conversation' });
  const { producer } = await recorderFor(t, log, relay.port);
  const socket = await relay.accepted();
  stalled = true;
  let passed = 0;
  socket.on('data', (bytes) => {
    passed += bytes.length;
  });
  const sent = 16 * 1024 * 1024;
  producer.write(Buffer.alloc(sent));
  while (!log.writableNeedDrain) await tick();
  for (let i = 0; i < 100; i++) await tick();
  t.true(log.writableLength <= log.writableHighWaterMark, `${log.writableLength} records wait`);
  t.true(passed <= 17 * 65_536, `${passed} bytes passed`);
  stalled = false;
  taken.shift()?.();
  while (passed < sent) await once(socket, 'data');
  t.is(passed, sent);
});

test('recorder: what is being recorded ends with its log', async (t) => {
  const relay = await relayFor(t);
  const { log } = logFile(t);
  const { recorder, producer } = await recorderFor(t, log, relay.port);
  producer.on('error', () => {});
  producer.resume();
  await relay.accepted();
  log.destroy();
  await once(producer, 'end');
  await recorder.idle();
  t.is(recorder.open, 0);
});
