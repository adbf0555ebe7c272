/** Directories that cannot be written, disks that are full, descriptors that are used up: each costs one session. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { pattern } from '../helpers/bytes.ts';
import { GoodSession } from '../helpers/good-session.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, tree } from '../helpers/relay.ts';
import { RelayProcess } from '../helpers/relay-process.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const session = `vm/s1-${r.creationDate}`;
const directory = `${session}/${ustPath}`;

test('a file in the place of the host directory: the session is refused with 25, other hosts are served', async (t) => {
  const relay = await TestRelay.start(t);
  writeFileSync(join(relay.outputPath, 'vm'), '');
  const good = await GoodSession.open(t, relay, { hostname: 'other' });
  const peer = await Peer.connect(relay.control);
  await peer.ask(r.version(15), 8);
  peer.write(r.createSession(15));
  t.is((await peer.rest()).toString('hex'), `${'0'.repeat(16)}00000019${'0'.repeat(8)}`);
  await peer.closed;
  t.like(relay.complaints(peer.name), [{ code: 'MR_ERR_RELAY_SESSION' }]);
  t.regex(relay.complaints(peer.name)[0]?.text ?? '', /cannot create .*\/vm.*(EEXIST|ENOTDIR)/);
  await good.finish();
  await relay.empty();
  good.verify(relay);
});

test('a file in the place of the trace directory: the stream is refused with 11, the next one is served', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  writeFileSync(join(relay.outputPath, session, 'ust'), '');
  const reply = await producer.control.ask(r.addStream(15, { channelName: 'c_0', path: ustPath }), 12);
  t.is(reply.readUInt32BE(8), 11);
  t.like(relay.complaints(producer.control.name), [
    { code: 'MR_ERR_DISK_CREATE', facts: { command: 'addStream' } },
  ]);
  const stream = await producer.addStream('c_0', 'kernel');
  await producer.packet(stream, 0n, pattern(9));
  await producer.stored(stream, 0n);
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  t.deepEqual(relay.tree()[`${session}/kernel/c_0`], pattern(9));
});

test('a file in the place of the index directory: the packet is lost and counted, its data connection ends, others go on', async (t) => {
  const relay = await TestRelay.start(t, { limits: { inFlightSeconds: 0.1 } });
  const good = await GoodSession.open(t, relay, { hostname: 'other' });
  const producer = await Producer.open(t, relay, { idSessiond: 1n });
  const stream = await producer.addStream('c_0');
  const metadata = await producer.addStream('metadata');
  writeFileSync(join(relay.outputPath, directory, 'index'), '');
  producer.frame(stream, 0n, pattern(9));
  await good.during(producer.data.closed);
  t.like(relay.complaints(producer.data.name), [{ code: 'MR_ERR_DISK_CREATE', facts: { command: 'data' } }]);
  t.is(relay.status().lost.MR_ERR_DISK_CREATE?.packets, 1);
  producer.metadata(metadata, 'what was stored stays readable');
  await producer.ok(r.quiescentControl(metadata));
  await producer.control.end();
  await good.finish();
  await relay.empty();
  good.verify(relay);
  t.deepEqual(relay.tree()[`${directory}/metadata`], Buffer.from('what was stored stays readable'));
});

test('an output directory that cannot be made rejects the start', async (t) => {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-disk-')));
  t.teardown(() => rmSync(parent, { recursive: true }));
  writeFileSync(join(parent, 'file'), '');
  const relay = RelayProcess.launch(t, { outputPath: join(parent, 'file', 'out') });
  t.is((await relay.ended).code, 1);
  t.regex(relay.lines.map(({ text }) => text).join(' '), /cannot create .*\/file\/out/);
});

const canMount = spawnSync('unshare', ['--mount', 'true']).status === 0;
/** Tests that need a disk of their own say so where they cannot have one. */
const onDisk = canMount ? test : test.skip;

/** A relay whose output directory is a small disk of its own, seen by nobody else; files are read through its root. */
async function onSmallDisk(
  t: ExecutionContext,
  size: string,
  ...args: string[]
): Promise<readonly [RelayProcess, string]> {
  const outputPath = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-full-')));
  t.teardown(() => rmSync(outputPath, { recursive: true, force: true }));
  const mount = `mount -t tmpfs -o size=${size} none ${outputPath} && exec "$@"`;
  const wrapper = ['unshare', '--mount', 'sh', '-c', mount, 'sh'];
  const relay = await RelayProcess.start(t, { outputPath, wrapper, args });
  return [relay, `/proc/${relay.pid}/root${outputPath}`];
}

const packetBytes = 65_536;

/** Sends that many packets, and their indexes, without waiting for them to be stored. */
async function send(producer: Producer, stream: bigint, count: number): Promise<void> {
  for (let n = 0n; n < count; n += 1n) {
    producer.frame(stream, n, pattern(packetBytes, Number(n)));
    await producer.index(stream, n, packetBytes);
  }
}

/** Holds a stream's files against the first `count` packets of `send`. */
function verify(t: ExecutionContext, files: ReturnType<typeof tree>, trace: string, count: number): void {
  const numbers = [...Array(count).keys()];
  const data = Buffer.concat(numbers.map((n) => pattern(packetBytes, n)));
  t.true(files[`${trace}/c_0`]?.equals(data), `data of ${count} packets in ${trace}`);
  const records = numbers.map((n) => [n * packetBytes, r.indexFacts(BigInt(n), packetBytes)] as const);
  t.true(files[`${trace}/index/c_0.idx`]?.equals(r.indexFile(15, records)), `index of ${trace}`);
}

onDisk(
  'a disk that fills up holds the producers back; requests and metadata go through, and nothing is lost once there is room',
  async (t) => {
    const [relay, outputPath] = await onSmallDisk(t, '24m');
    const filler = join(outputPath, 'filler');
    writeFileSync(filler, Buffer.alloc(16 * 1024 * 1024));
    // More of them than slabs would suffice for, if packets might take all.
    const count = 40;
    const producers = [];
    for (let at = 0; at < 6; at += 1) {
      const facts = { sessionName: `s${at}`, idSessiond: BigInt(at), hostname: 'vm' };
      const producer = await Producer.open(t, relay, facts);
      const stream = await producer.addStream('c_0');
      await send(producer, stream, count);
      producers.push({ producer, stream, trace: `${producer.outputPath}/${ustPath}` });
    }
    const short = await relay.told(({ event }) => event === 'disk:space-short');
    t.regex(short.text, /less than 4194304 bytes are free/);

    const late = await Producer.open(t, relay, { sessionName: 'late', idSessiond: 99n });
    const metadata = await late.addStream('metadata');
    late.metadata(metadata, pattern(500_000));
    await late.ok(r.quiescentControl(metadata));
    await late.finish([[metadata, r.noPacket]]);
    const stored = tree(outputPath)[`${late.outputPath}/${ustPath}/metadata`];
    t.true(stored?.equals(pattern(500_000)));
    const status = await relay.status();
    t.true(status.waitingForSpace > 0);
    t.deepEqual(status.lost, {});
    const last = BigInt(count - 1);
    const pending = await Promise.all(
      producers.map(({ producer, stream }) => producer.pending(stream, last)),
    );
    t.true(pending.includes(1), 'nobody is told that what waits is stored');

    rmSync(filler);
    for (const { producer, stream } of producers) {
      await producer.stored(stream, last);
      await producer.finish([[stream, last]]);
    }
    await relay.told(({ event }) => event === 'disk:space-back');
    const after = await relay.status();
    t.like(after, { waitingForSpace: 0, lost: {}, totals: { packets: 6 * count } });
    for (const { trace } of producers) verify(t, tree(outputPath), trace, count);
    t.is(relay.lines.filter(({ event }) => event === 'disk:space-short').length, 1);
    relay.kill('SIGTERM');
    t.is((await relay.ended).code, 0);
  },
);

onDisk(
  'a relay that waits for space ends in time when it is told to, and cuts what was not stored',
  async (t) => {
    const [relay, outputPath] = await onSmallDisk(t, '8m');
    const producer = await Producer.open(t, relay);
    const stream = await producer.addStream('c_0');
    await send(producer, stream, 100);
    await relay.told(({ event }) => event === 'disk:space-short');
    const keep = openSync(outputPath, 'r');
    t.teardown(() => closeSync(keep));
    relay.kill('SIGTERM');
    t.is((await relay.ended).code, 0);
    const files = tree(`/proc/self/fd/${keep}`);
    const packets = (files[`${directory}/c_0`]?.length ?? 0) / packetBytes;
    t.true(packets > 30 && packets < 65, `${packets} packets fitted`);
    verify(t, files, directory, packets);
  },
);

onDisk(
  'without a reserve a full disk costs a stream: what is stored stays readable, later sessions are served',
  async (t) => {
    const [relay, outputPath] = await onSmallDisk(t, '8m', '--keep-free=0');
    const producer = await Producer.open(t, relay);
    const stream = await producer.addStream('c_0');
    for (let n = 0n; !producer.data.gone; n += 1n) {
      producer.frame(stream, n, pattern(packetBytes, Number(n)));
      const index = r.sendIndex(15, stream, n, r.indexFacts(n, packetBytes));
      if ((await producer.ret(index)) !== 10) break;
      while (!producer.data.gone && (await producer.pending(stream, n)) === 1);
    }
    await producer.data.closed;
    const refused = await relay.told(({ code }) => code === 'MR_ERR_DISK_FULL');
    t.regex(refused.text, /c_0.*: no space left/);
    const files = tree(outputPath);
    const count = (files[`${directory}/c_0`] as Buffer).length / packetBytes;
    t.true(count > 100, `${count} packets`);
    verify(t, files, directory, count);
    t.like(await relay.status(), { lost: { MR_ERR_DISK_FULL: { packets: 1 } } });

    rmSync(join(outputPath, directory, 'c_0'));
    const late = await Producer.open(t, relay, { sessionName: 'late', idSessiond: 1n });
    const lateStream = await late.addStream('c_0');
    await late.packet(lateStream, 0n, pattern(packetBytes));
    await late.stored(lateStream, 0n);
    relay.kill('SIGTERM');
    t.is((await relay.ended).code, 0);
  },
);

onDisk(
  'a disk without a single free byte: sessions are refused one by one, the relay lives and serves again when there is room',
  async (t) => {
    const [relay, outputPath] = await onSmallDisk(t, '1m');
    const filler = join(outputPath, 'filler');
    const producer = await Producer.open(t, relay);
    const metadata = await producer.addStream('metadata');
    t.throws(() => writeFileSync(filler, Buffer.alloc(2 * 1024 * 1024)), { code: 'ENOSPC' });
    producer.metadata(metadata, pattern(5000));
    // On a slow disk the write fails later than the first answer.
    const told = async (): Promise<void> => {
      for (;;) await producer.ok(r.quiescentControl(metadata));
    };
    await t.throwsAsync(told());
    await producer.control.closed;
    t.like(await relay.status(), { lost: { MR_ERR_DISK_FULL: { packets: 0 } } });
    rmSync(filler);
    const late = await Producer.open(t, relay, { sessionName: 'late', idSessiond: 1n });
    const lateMetadata = await late.addStream('metadata');
    late.metadata(lateMetadata, pattern(5000));
    await late.ok(r.quiescentControl(lateMetadata));
    await late.finish([[lateMetadata, r.noPacket]]);
    t.deepEqual(tree(outputPath)[`vm/late-${r.creationDate}/${ustPath}/metadata`], pattern(5000));
    t.deepEqual(tree(outputPath)[`${directory}/metadata`], Buffer.alloc(0), 'half a command is cut');
  },
);

test('100 descriptors: all streams share them, connections beyond are refused, who is connected goes on, and room made is used', async (t) => {
  const outputPath = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-descriptors-')));
  t.teardown(() => rmSync(outputPath, { recursive: true, force: true }));
  const relay = await RelayProcess.start(t, {
    outputPath,
    wrapper: ['sh', '-c', 'ulimit -n 100 && exec "$@"', 'sh'],
  });
  const good = await GoodSession.open(t, relay);
  const greedy = await Producer.open(t, relay, { idSessiond: 1n, sessionName: 'greedy' });
  const streams: bigint[] = [];
  for (let n = 0; n < 200; n += 1) streams.push(await greedy.addStream(`c_${n}`));
  await good.packets(5);
  const strangers: Peer[] = [];
  for (let n = 0; n < 100; n += 1) strangers.push(await Peer.connect(relay.control));
  t.is((await (strangers.at(-1) as Peer).rest()).length, 0);
  await good.packets(5);
  for (const stranger of strangers) await stranger.destroy();
  for (const stream of streams) await greedy.ok(r.closeStream(stream, r.noPacket));
  const again = await greedy.addStream('again');
  await greedy.packet(again, 0n, pattern(10));
  await greedy.stored(again, 0n);
  await good.finish();
  good.verify({ tree: () => tree(outputPath) });
  relay.kill('SIGTERM');
  t.is((await relay.ended).code, 0);
});
