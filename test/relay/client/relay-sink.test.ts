/** The relay client against our own relay: what lands there is what the frames said, byte for byte. */
import { relaySink } from '../../../lib/relay/client/relay-sink.ts';
import { pattern } from '../../helpers/bytes.ts';
import { FrameScript, packet, part, record, text } from '../../helpers/frame-script.ts';
import * as f from '../../helpers/frames.ts';
import { TestRelay } from '../../helpers/relay.ts';
import * as r from '../../helpers/requests.ts';
import { test } from '../../helpers/serial.ts';

const { creationTimeS } = r;
const ust = 'ust/uid/0/64-bit';
const to = ({ control, data }: TestRelay) => ({ control, data });
const session = (minor: number, given = {}) =>
  f.sessionOpen({ minor, hostname: 'vm', creationTimeS, ...given });
const streams = (path = ust) => [
  f.streamOpen({ path, channelName: 'c_0' }),
  f.streamOpen({ stream: 2, path, channelName: 'c_1' }),
  f.streamOpen({ stream: 9, path, channelName: 'metadata' }),
  f.published(),
];
const closed = () => ({ ...f.chunkDone(), action: 'none' as const });
const ends = (...last: (bigint | undefined)[]) => [
  f.streamEnd(undefined, 9),
  ...last.map((number, at) => f.streamEnd(number, at + 1)),
];
const recordsOf = (packets: Buffer[], from = 0) => {
  let offset = 0;
  return packets.map(({ length }, at) => {
    const fact = [offset, r.indexFacts(BigInt(from + at), length)] as const;
    offset += length;
    return fact;
  });
};

for (let minor = 1; minor <= 15; minor += 1)
  test(`minor ${minor}: metadata, data and index land byte for byte`, async (t) => {
    const relay = await TestRelay.start(t);
    const old = `vm/s1-${r.creationDate}/${ust}`;
    const packets = [pattern(292), pattern(4000, 2)];
    const script = new FrameScript()
      .batch(session(minor), ...(minor >= 11 ? [f.chunkOpen()] : []), ...streams(minor >= 11 ? ust : old))
      .batch(text('/* CTF 1.8 */', { paddingSizeBytes: 3 }), ...packet(1, 0n, packets[0] as Buffer))
      .batch(...packet(1, 1n, packets[1] as Buffer), f.inactive(2))
      .batch(...ends(1n, undefined), ...(minor >= 11 ? [closed()] : []), f.sessionEnd());
    const sink = relaySink(to(relay));
    t.deepEqual(await script.into(sink), { kind: 'end' });
    t.is(script.pool.inUse, 0);
    t.like(sink.progress, { packets: 2, bytes: 4292, acknowledgedPackets: 2, sessionsDone: 1, minor });
    await relay.empty();
    const files = Object.fromEntries(
      Object.entries(relay.tree()).map(([path, is]) => [path.split(`${ust}/`)[1], is]),
    );
    t.deepEqual(files.metadata, Buffer.from('/* CTF 1.8 */\0\0\0'));
    t.deepEqual(files.c_0, Buffer.concat(packets));
    t.deepEqual(files['index/c_0.idx'], minor < 4 ? undefined : r.indexFile(minor, recordsOf(packets)));
    t.deepEqual(relay.complaints(), []);
  });

test('a source of minor 13 speaks minor 8 with a relay when told to, with paths in full', async (t) => {
  const relay = await TestRelay.start(t);
  const script = new FrameScript()
    .batch(session(13), f.chunkOpen(), ...streams(), text('m'), ...packet(1, 0n, pattern(100)))
    .batch(...ends(0n, undefined), closed(), f.sessionEnd());
  t.deepEqual(await script.into(relaySink({ ...to(relay), minor: 8 })), { kind: 'end' });
  await relay.empty();
  t.deepEqual(relay.tree()[`vm/s1-${r.creationDate}/${ust}/c_0`], pattern(100));
});

test('a stream goes over to the next trace chunk at exactly the packet that was named', async (t) => {
  const relay = await TestRelay.start(t);
  const packets = [0, 1, 2, 3].map((n) => pattern(500 + n, n));
  const at = (n: number) => packet(1, BigInt(n), packets[n] as Buffer);
  const script = new FrameScript()
    .batch(session(13), f.chunkOpen(0n), ...streams(), text('one'), ...at(0))
    // named early: packet 1 still belongs to the old chunk
    .batch(f.chunkOpen(1n), f.switchTo(1n, 1, 2n), f.switchTo(1n, 2, 0n), ...at(1), ...at(2))
    .batch(f.switchTo(1n, 9), text('one again'), f.chunkDone(0n), ...at(3))
    .batch(f.switchTo(undefined, 1, 4n), f.switchTo(undefined, 2, 0n), f.switchTo(undefined, 9))
    .batch({ ...f.chunkDone(1n), action: 'moveToCompleted' }, ...ends(3n, undefined), f.sessionEnd());
  t.deepEqual(await script.into(relaySink(to(relay))), { kind: 'end' });
  await relay.empty();
  const files = relay.tree();
  const of = (name: string) =>
    Object.entries(files)
      .filter(([path]) => path.includes('/archives/') && path.endsWith(name))
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([, bytes]) => bytes);
  t.deepEqual(of('/c_0'), [Buffer.concat(packets.slice(0, 2)), Buffer.concat(packets.slice(2))]);
  t.deepEqual(of('/metadata'), [Buffer.from('one'), Buffer.from('one again')]);
  t.deepEqual(of('index/c_0.idx'), [
    r.indexFile(13, recordsOf(packets.slice(0, 2))),
    r.indexFile(13, recordsOf(packets.slice(2), 2)),
  ]);
  t.deepEqual(relay.complaints(), []);
});

test('parts of packets of several streams are not mixed on the wire, and an index waits for its data', async (t) => {
  const relay = await TestRelay.start(t);
  const [a, b] = [pattern(3000, 1), pattern(2000, 2)];
  const script = new FrameScript()
    .batch(session(13), f.chunkOpen(), ...streams(), text('m'), record(1, 0n, a.length))
    .batch(part(1, 0n, a, 0, 1000), part(2, 0n, b, 0, 700))
    .batch(part(2, 0n, b, 700), part(1, 0n, a, 1000, 2999), record(2, 0n, b.length))
    .batch(part(1, 0n, a, 2999), ...ends(0n, 0n), closed(), f.sessionEnd());
  t.deepEqual(await script.into(relaySink(to(relay))), { kind: 'end' });
  t.is(script.pool.inUse, 0);
  await relay.empty();
  const files = relay.tree();
  const directory = `vm/s1-${r.creationDate}/${ust}`;
  t.deepEqual(files[`${directory}/c_0`], a);
  t.deepEqual(files[`${directory}/c_1`], b);
  t.deepEqual(files[`${directory}/index/c_0.idx`], r.indexFile(13, recordsOf([a])));
  t.deepEqual(relay.complaints(), []);
});

test('metadata in parts is one command, and a regeneration begins anew', async (t) => {
  const relay = await TestRelay.start(t);
  const script = new FrameScript()
    .batch(session(13), f.chunkOpen(), ...streams(), text('old '), text('half', { last: false }))
    .batch(text(' more'), text('', { version: 1 }), text('new', { version: 1 }))
    .batch(...ends(undefined, undefined), closed(), f.sessionEnd());
  t.deepEqual(await script.into(relaySink(to(relay))), { kind: 'end' });
  await relay.empty();
  t.deepEqual(relay.tree()[`vm/s1-${r.creationDate}/${ust}/metadata`], Buffer.from('new'));
});

test('a packet that is lost in its middle costs itself alone, and packets behind a hole keep their numbers', async (t) => {
  const relay = await TestRelay.start(t);
  const packets = [0, 1, 2].map((n) => pattern(400, n));
  const script = new FrameScript()
    .batch(session(13), f.chunkOpen(), ...streams(), text('m'), ...packet(1, 0n, packets[0] as Buffer))
    .batch(f.lost(1n), ...packet(1, 2n, packets[2] as Buffer), part(2, 0n, pattern(999), 0, 10))
    .batch(f.lost(0n, { stream: 2 }), ...ends(2n, undefined), closed(), f.sessionEnd({ outcome: 'abort' }));
  t.deepEqual(await script.into(relaySink(to(relay))), { kind: 'end' });
  await relay.empty();
  const files = relay.tree();
  const directory = `vm/s1-${r.creationDate}/${ust}`;
  t.deepEqual(files[`${directory}/c_0`], Buffer.concat([packets[0] as Buffer, packets[2] as Buffer]));
  t.deepEqual(files[`${directory}/c_1`], Buffer.alloc(0));
});

test('two sessions of one source have a pair of connections each', async (t) => {
  const relay = await TestRelay.start(t);
  const other = { session: 2, sessionName: 's2', idSessiond: 1n };
  const script = new FrameScript()
    .batch(session(13), session(13, other), f.chunkOpen(), { ...f.chunkOpen(), session: 2 })
    .batch(
      f.streamOpen({ path: ust, channelName: 'c_0' }),
      f.streamOpen({ session: 2, stream: 2, path: ust, channelName: 'c_0' }),
    )
    .batch(
      part(1, 0n, pattern(50), 0, 20),
      part(2, 0n, pattern(60)),
      part(1, 0n, pattern(50), 20),
      record(1, 0n, 50),
      record(2, 0n, 60),
    );
  const sink = relaySink(to(relay));
  t.deepEqual(await script.into(sink), { kind: 'end' });
  t.is(sink.progress.sessionsDone, 2, 'a source that ends without a word has ended its sessions');
  await relay.empty();
  const files = relay.tree();
  t.deepEqual(files[`vm/s1-${r.creationDate}/${ust}/c_0`], pattern(50));
  t.deepEqual(files[`vm/s2-${r.creationDate}/${ust}/c_0`], pattern(60));
});
