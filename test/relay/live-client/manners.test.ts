// How the live client speaks, whatever the relay: what viewers owe to any lttng-relayd. Source: live-protocol, "Checklists".
import { createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { join, u32, u64 } from '../../helpers/bytes.ts';
import {
  connected,
  fakeLiveRelay,
  index,
  listed,
  type Sayings,
  shown,
} from '../../helpers/fake-live-relay.ts';
import { only } from '../../helpers/read-frames.ts';
import { usualSession } from '../../helpers/requests.ts';
import { test } from '../../helpers/serial.ts';
import { Watch } from '../../helpers/watch.ts';

const { hostname, sessionName } = usualSession;
const names = { 1: 'connect', 2: 'list', 3: 'attach', 4: 'index', 5: 'packet', 6: 'metadata', 7: 'streams' };
const more = { 8: 'create', 9: 'detach' };
const nameOf: Readonly<Record<number, string>> = { ...names, ...more };

/** The first packet and the metadata of a session of one stream, which then hangs up. */
class OnePacket {
  readonly asked: string[] = [];
  metadata = [join(u64(4), u32(1), Buffer.from('text'))];
  indexes = [index(1, { bytes: 8, begin: 1, end: 2 }), index(3)];
  streams: Buffer[] = [];

  /** What it says; `other` in place of some of it. */
  sayings(other: Sayings = {}): Sayings {
    const entry = listed(7, sessionName).fill(Buffer.from(`${hostname}\0`), 20, 20 + hostname.length + 1);
    const usual: Sayings = {
      1: () => connected(),
      2: () => join(u32(1), entry),
      3: () => join(u32(1), u32(2), shown(1, 'c_0'), shown(2, 'metadata', true)),
      4: () => this.indexes.shift() ?? index(4),
      5: () => join(u32(1), u32(8), u32(0), Buffer.from('01234567')),
      6: () => this.metadata.shift() ?? join(u64(0), u32(2)),
      7: () => this.streams.shift() ?? join(u32(this.indexes.length === 0 ? 4 : 1), u32(0)),
      8: () => u32(1),
      9: () => u32(1),
    };
    const all = Object.entries({ ...usual, ...other }).map(([code, say]): [string, typeof say] => [
      code,
      (payload) => {
        this.asked.push(nameOf[Number(code)] as string);
        return say(payload);
      },
    ]);
    return Object.fromEntries(all);
  }
}

/** Stands in front of a relay: each request must come in one piece, and none before the last one was answered. */
async function strict(t: ExecutionContext, sayings: Sayings): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let isAsking = false;
    socket.on('data', (bytes) => {
      t.false(isAsking, 'one request at a time');
      isAsking = true;
      t.is(bytes.length, 16 + Number(bytes.readBigUInt64BE(0)), 'header and payload in one write');
      const said = sayings[bytes.readUInt32BE(8)]?.(bytes.subarray(16));
      setImmediate(() => {
        isAsking = false;
        socket.write(said as Buffer);
      });
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
}

test('one request at a time, each in one write; CREATE once and before all that needs it, the packet before the next index, DETACH at the end', async (t) => {
  const relay = new OnePacket();
  const address = await strict(t, relay.sayings());
  const watch = new Watch(t, { address });
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, { c_0: [Buffer.from('01234567')] });
  const { asked } = relay;
  t.is(asked.filter((name) => name === 'create').length, 1);
  for (const later of ['attach', 'index', 'packet', 'metadata', 'streams'])
    t.true(asked.indexOf('create') < asked.indexOf(later), later);
  t.is(asked[asked.indexOf('index') + 1], 'packet');
  t.is(asked.at(-1), 'detach');
});

test('an attachment without streams, and "no new ones" while a chunk changes: they are asked for again within a second or so, unannounced', async (t) => {
  const relay = new OnePacket();
  relay.streams = [join(u32(2), u32(0)), join(u32(1), u32(2), shown(1, 'c_0'), shown(2, 'metadata', true))];
  const address = await fakeLiveRelay(t, relay.sayings({ 3: () => join(u32(1), u32(0)) }));
  const watch = new Watch(t, { address });
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, { c_0: [Buffer.from('01234567')] });
});

for (const status of [2, 5])
  test(`new streams are asked for at once when an index of status ${status} says so`, async (t) => {
    const relay = new OnePacket();
    const announcing = Buffer.from(index(status));
    announcing.writeUInt32BE(2, 60);
    relay.indexes = [announcing, index(2), index(2), index(3)];
    const shownAt: number[] = [];
    const address = await fakeLiveRelay(
      t,
      relay.sayings({
        7: () => {
          shownAt.push(relay.asked.filter((name) => name === 'index').length);
          return join(u32(relay.indexes.length === 0 ? 4 : 1), u32(0));
        },
      }),
    );
    t.deepEqual(await new Watch(t, { address }).outcome, { kind: 'end' });
    // before the first index, then behind the one that told of them
    t.deepEqual(shownAt.slice(0, 2), [0, 1]);
  });

test('metadata that ends with an error has ended, and so has a stream; what came of them stays', async (t) => {
  const relay = new OnePacket();
  relay.metadata = [join(u64(4), u32(1), Buffer.from('text')), join(u64(0), u32(3))];
  relay.indexes = [index(1, { bytes: 8, begin: 1, end: 2 }), index(4)];
  const address = await fakeLiveRelay(t, relay.sayings({ 9: () => u32(2) }));
  const watch = new Watch(t, { address });
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, { c_0: [Buffer.from('01234567')] });
  t.is(only(watch.frames, 'sessionEnd')[0]?.outcome, 'end', 'an unknown session at DETACH is no matter');
});

for (const [what, sayings] of [
  ['metadata', { 6: () => join(u64(100), u32(1)) }],
  ['a packet', { 5: () => join(u32(1), u32(8), u32(0), Buffer.from('0123')) }],
  ['streams', { 3: () => join(u32(1), u32(2), shown(1, 'c_0')) }],
] as const satisfies [string, Sayings][])
  test(`a relay that promises more ${what} than it sends is waited for no longer than a reply may take`, async (t) => {
    const address = await fakeLiveRelay(t, new OnePacket().sayings(sayings));
    const outcome = await new Watch(t, { address, replyMs: 200, reconnectMs: 0 }).outcome;
    t.is(outcome.kind === 'error' && outcome.error.code, 'MR_ERR_NETWORK_LOST');
  });
