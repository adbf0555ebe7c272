import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { directorySource } from '../../lib/consumer/directory-source.ts';
import { compose } from '../../lib/stage/compose.ts';
import { order } from '../../lib/stage/order.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { frameSink, only, type Read, readFrames, rebuild } from '../helpers/read-frames.ts';
import { fixture } from '../helpers/traces.ts';
import type { WriterOptions } from './writer-child.ts';

process.env.TZ = 'UTC';

const child = fileURLToPath(new URL('writer-child.js', import.meta.url));

/** Starts a writer into a new directory; it is gone when the test ends. */
function write(
  t: ExecutionContext,
  fixtureName: string,
  options: Partial<WriterOptions> = {},
): { to: string; writer: ChildProcess; ended: Promise<unknown>; first: Promise<unknown> } {
  const to = temporaryDirectory(t);
  const from = fixture(`captures/${fixtureName}/oracle`);
  const writer = spawn(process.execPath, [child, JSON.stringify({ from, to, pauseMs: 3, ...options })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => writer.kill('SIGKILL'));
  const ended = new Promise((resolve) => writer.once('close', resolve));
  const first = new Promise((resolve) => writer.stdout?.once('data', resolve));
  writer.stdout?.resume();
  return { to, writer, ended, first };
}

const follow = (path: string): Readable => directorySource({ path, follow: true, idleMs: 700 });

/** Bytes and records of every stored file, without the facts that only a rotation knows. */
async function expected(fixtureName: string) {
  const { frames } = await readFrames(directorySource({ path: fixture(`captures/${fixtureName}/oracle`) }));
  return rebuild(frames);
}

function alike(t: ExecutionContext, frames: readonly Read[], files: ReturnType<typeof rebuild>): void {
  const got = rebuild(frames);
  t.deepEqual([...got.keys()].sort(), [...files.keys()].sort());
  for (const [name, { bytes, records }] of files) {
    t.true(
      got.get(name)?.bytes.equals(bytes),
      `${name} has ${got.get(name)?.bytes.length} of ${bytes.length}`,
    );
    const facts = ({ records: all }: { records: typeof records }) =>
      all.map(({ offsetBytes, index: { timestampBeginCycles, packetSeqNum } }) => ({
        offsetBytes,
        timestampBeginCycles,
        packetSeqNum,
      }));
    t.deepEqual(facts(got.get(name) ?? { records: [] }), facts({ records }), name);
  }
}

for (const name of ['two-channels', 'per-process', 'rotation', 'two-consumers-rotation'])
  test.serial(`a slow writer in another process is followed to its end: ${name}`, async (t) => {
    const { to, first } = write(t, name);
    await first;
    const { frames, outcome } = await readFrames(follow(to));
    t.deepEqual(outcome, { kind: 'end' });
    alike(t, frames, await expected(name));
    t.is(only(frames, 'lost').length, 0);
    t.is(only(frames, 'sessionEnd')[0]?.outcome, 'end');
  });

test.serial('packets come while they are written, each behind the metadata that it needs', async (t) => {
  const { to, ended, first } = write(t, 'two-channels', { pauseMs: 20 });
  await first;
  let isWriting = true;
  void ended.then(() => {
    isWriting = false;
  });
  let early = 0;
  let metadataBytes = 0;
  const pipe = compose([
    { name: 'source', stream: follow(to) },
    { name: 'order', stream: order() },
    {
      name: 'sink',
      stream: frameSink((frame) => {
        if (frame.kind === 'metadata') metadataBytes += frame.end - frame.start;
        if (frame.kind !== 'index') return;
        t.true(frame.metadataPositionBytes > 0 && frame.metadataPositionBytes <= metadataBytes);
        if (isWriting) early += 1;
      }),
    },
  ]);
  t.deepEqual(await pipe.outcome, { kind: 'end' });
  t.true(early > 2, `${early} packets came while the writer ran`);
});

test.serial('a cleared chunk is deleted, and its successor followed', async (t) => {
  const { to, writer, first } = write(t, 'rotation', { clear: true, pauseMs: 20 });
  await first;
  // it waits until the chunk that it is going to clear has been found
  writer.kill('SIGSTOP');
  const source = follow(to);
  await new Promise((resolve) => source.once('readable', resolve));
  writer.kill('SIGCONT');
  const { frames, outcome } = await readFrames(source);
  t.deepEqual(outcome, { kind: 'end' });
  t.is(only(frames, 'chunkDone')[0]?.action, 'delete');
  t.is(only(frames, 'chunkOpen').length, 2);
});

for (const dieAtPacket of [2, 5])
  test.serial(
    `of a writer that is killed in packet ${dieAtPacket}, every committed packet comes and nothing else`,
    async (t) => {
      const { to, ended, first } = write(t, 'two-channels', { dieAtPacket, pauseMs: 20 });
      await first;
      const { frames, outcome } = await readFrames(follow(to));
      await ended;
      t.deepEqual(outcome, { kind: 'end' });
      t.is(only(frames, 'index').length, dieAtPacket - 1);
      const files = await expected('two-channels');
      for (const [name, { bytes }] of rebuild(frames))
        t.true(files.get(name)?.bytes.subarray(0, bytes.length).equals(bytes), name);
    },
  );

test.serial(
  'in a ring that overwrites what was not read, every packet comes or is counted as lost',
  async (t) => {
    const files = await expected('two-channels');
    const [, { records }] = [...files].find(([name]) => name.endsWith('/small_0')) as [
      string,
      { records: unknown[] },
    ];
    const { to, ended, first } = write(t, 'two-channels', {
      ring: { sizeBytes: 4096, count: 2 },
      pauseMs: 1,
    });
    await first;
    const source = follow(to);
    // it opens the first files, and is slow
    await new Promise((resolve) => source.once('readable', resolve));
    await ended;
    const { frames, outcome } = await readFrames(source);
    t.deepEqual(outcome, { kind: 'end' });
    const open = only(frames, 'streamOpen').find(({ channelName }) => channelName.startsWith('small_0'));
    const own = <F extends { stream: number }>(all: F[]) =>
      all.filter(({ stream }) => stream === open?.stream);
    const numbers = own(only(frames, 'index')).map(({ packetSeqNum }) => packetSeqNum as bigint);
    t.deepEqual(
      numbers,
      numbers.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    const lost = own(only(frames, 'lost')).length;
    t.is(Number(numbers.at(-1) as bigint) - Number(numbers[0] as bigint) + 1, numbers.length + lost);
    t.is(numbers.at(-1), BigInt(records.length - 1));
  },
);

test.serial(
  'a record whose offset is -1 is passed over and counted: the packet is lost, the others come',
  async (t) => {
    const to = temporaryDirectory(t);
    cpSync(fixture('captures/two-channels/oracle'), to, { recursive: true });
    const [path] = readdirSync(to, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('small_0.idx'),
    ) as [string];
    const bytes = readFileSync(join(to, path));
    // ctf, "Index files": a header of 16 bytes says how long records are; each begins with the packet's offset
    const recordBytes = bytes.readUInt32BE(12);
    bytes.fill(0xff, 16 + 2 * recordBytes, 16 + 2 * recordBytes + 8);
    writeFileSync(join(to, path), bytes);
    const { frames, outcome } = await readFrames(follow(to));
    t.deepEqual(outcome, { kind: 'end' });
    const small = only(frames, 'streamOpen').find(({ channelName }) => channelName.startsWith('small_0'));
    const lost = only(frames, 'lost');
    t.deepEqual(
      lost.map(({ stream, netSeqNum }) => [stream, netSeqNum]),
      [[small?.stream, 2n]],
    );
    t.is(lost[0]?.index?.packetSizeBits, bytes.readBigUInt64BE(16 + 2 * recordBytes + 8));
    const read = only(frames, 'index').filter(({ stream }) => stream === small?.stream);
    t.is(read.length, (bytes.length - 16) / recordBytes - 1);
  },
);

test.serial('a directory that is not there yet is waited for; one that never comes is told', async (t) => {
  const missing = join(temporaryDirectory(t), 'later');
  const { outcome } = await readFrames(directorySource({ path: missing, follow: true, idleMs: 300 }));
  t.is(outcome.kind === 'error' && outcome.error.code, 'MR_ERR_CONSUMER_NO_TRACE');
});

test.serial('a finished directory is followed to its end, as it would be read', async (t) => {
  const path = fixture('captures/rotation/oracle');
  const { frames, outcome } = await readFrames(follow(path));
  t.deepEqual(outcome, { kind: 'end' });
  alike(t, frames, await expected('rotation'));
  t.true(readFileSync(join(path, '../provenance.json')).length > 0);
});
