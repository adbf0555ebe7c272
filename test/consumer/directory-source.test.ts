import { cpSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { directorySource } from '../../lib/consumer/directory-source.ts';
import type { MillraceError } from '../../lib/errors.ts';
import type { Index } from '../../lib/stage/frames.ts';
import { SlabPool } from '../../lib/stage/slab.ts';
import { copyOf, relayTrace } from '../disk/verify/copy.ts';
import { tick } from '../helpers/frames.ts';
import { only, readFrames, rebuild } from '../helpers/read-frames.ts';
import { corpus, fixture, indexOf, loseTwoBefore, streamFiles, tracesBelow } from '../helpers/traces.ts';

process.env.TZ = 'UTC';

/** Damaged or short of records on purpose, or with names that a ring gives another meaning. */
const special = /-fail-|synth-rotated|synth-index|\/bt-|tracefile|snapshot|ust-overwrite/;

for (const directory of ['fixtures', ...(corpus === undefined ? [] : ['the corpus'])]) {
  test(`every trace of ${directory} leaves as it lies there`, async (t) => {
    t.timeout(120_000);
    const root = directory === 'fixtures' ? fixture('.') : (corpus as string);
    for (const path of tracesBelow(root).filter((trace) => !special.test(trace))) {
      const { frames, outcome } = await readFrames(directorySource({ path }));
      t.deepEqual(outcome, { kind: 'end' }, path);
      const files = rebuild(frames);
      const [metadata] = [...files].flatMap(([name, file]) => (name.endsWith('/metadata') ? [file] : []));
      t.deepEqual(metadata?.bytes, readFileSync(join(path, 'metadata')), path);
      for (const name of streamFiles(path)) {
        const [file] = [...files].flatMap(([at, rebuilt]) => (at.endsWith(`/${name}`) ? [rebuilt] : []));
        t.true(file?.bytes.equals(readFileSync(join(path, name))), `${path}/${name}`);
        const expected = indexOf(path, name);
        if (expected === undefined) continue;
        t.deepEqual(
          file?.records.map(({ offsetBytes, index }) => ({ offsetBytes, ...recordOf(index) })),
          expected as never,
          name,
        );
      }
    }
  });
}

const fields = [
  'packetSizeBits',
  'contentSizeBits',
  'timestampBeginCycles',
  'timestampEndCycles',
  'eventsDiscarded',
  'streamClassId',
  'streamInstanceId',
  'packetSeqNum',
] as const;

function recordOf(index: Index) {
  return Object.fromEntries(fields.map((field) => [field, index[field] ?? 2n ** 64n - 1n]));
}

test('a session says who it is from its metadata, and options say it better', async (t) => {
  const path = fixture('captures/two-channels/oracle');
  const { frames } = await readFrames(directorySource({ path }));
  const [open] = only(frames, 'sessionOpen');
  t.is(open?.hostname, 'traced');
  t.regex(open?.sessionName ?? '', /^[\w-]+$/);
  t.false(open?.nameHasCreationTime);
  t.is(new Date(Number(open?.creationTimeS) * 1000).toISOString().slice(0, 10), '2026-11-20');
  const named = await readFrames(
    directorySource({ path, hostname: 'a/b', sessionName: 'mine', liveTimerUs: 7 }),
  );
  const [other] = only(named.frames, 'sessionOpen');
  t.like(other, { hostname: 'a_b', sessionName: 'mine', liveTimerUs: 7 });
});

test('streams of a rotated session go over from chunk to chunk at exactly their packets', async (t) => {
  const { frames, outcome } = await readFrames(
    directorySource({ path: fixture('captures/rotation/oracle') }),
  );
  t.deepEqual(outcome, { kind: 'end' });
  t.deepEqual(
    only(frames, 'chunkOpen').map(({ chunk }) => chunk),
    [0n, 1n],
  );
  t.deepEqual(
    only(frames, 'chunkDone').map(({ chunk, action }) => `${chunk} ${action}`),
    ['0 moveToCompleted', '1 moveToCompleted'],
  );
  t.is(only(frames, 'streamOpen').length, 3);
  t.is(only(frames, 'switch').length, 3);
  const [session] = tracesBelow(fixture('captures/rotation/oracle')).map((trace) =>
    join(trace, '../../../../../..'),
  );
  const chunks = tracesBelow(fixture('captures/rotation/oracle'));
  const files = rebuild(frames);
  for (const [at, trace] of chunks.entries())
    for (const name of [...streamFiles(trace), 'metadata'])
      t.true(
        files.get(`${at} ust/uid/0/64-bit/${name}`)?.bytes.equals(readFileSync(join(trace, name))),
        `${session} ${name}`,
      );
});

test('a stream goes over behind its last packet, also where packets are missing in front of the next chunk', async (t) => {
  const { directory: path } = copyOf(t, fixture('captures/rotation/oracle'));
  const splits = async () => only((await readFrames(directorySource({ path }))).frames, 'switch');
  const expected = await splits();
  t.true(expected.some(({ atPacketSeqNum }) => atPacketSeqNum > 0n));
  loseTwoBefore(tracesBelow(path)[1] as string);
  t.deepEqual(await splits(), expected);
});

test('a ring of tracefiles is one stream, in the order of its packets, split where it was', async (t) => {
  const copy = relayTrace(t);
  const { frames } = await readFrames(directorySource({ path: copy.directory }));
  const before = rebuild(frames);
  const [key, whole] = [...before].find(([name]) => name.endsWith('/small_0')) as [string, never];
  const { bytes } = whole as { bytes: Buffer };
  // three packets: the ring has come around, its oldest file is number 1
  for (const [number, packet] of [2, 0, 1].entries()) {
    copy.write(`small_0_${number}`, bytes.subarray(packet * 4096, packet * 4096 + 4096));
    const idx = copy.read('index/small_0.idx');
    const record = Buffer.from(idx.subarray(16 + packet * 72, 16 + packet * 72 + 72));
    record.writeBigUInt64BE(0n, 0);
    copy.write(`index/small_0_${number}.idx`, Buffer.concat([idx.subarray(0, 16), record]));
  }
  copy.remove('small_0');
  copy.remove('index/small_0.idx');
  const ring = await readFrames(directorySource({ path: copy.directory }));
  t.deepEqual(ring.outcome, { kind: 'end' });
  const after = rebuild(ring.frames);
  for (let number = 0; number < 3; number += 1)
    t.true(
      after.get(`${key}_${number}`)?.bytes.equals(bytes.subarray(number * 4096, number * 4096 + 4096)),
      `file ${number}`,
    );
});

test('without index files the packets say what their records would', async (t) => {
  const copy = relayTrace(t);
  const indexed = await readFrames(directorySource({ path: copy.directory, sessionName: 's' }));
  copy.remove('index');
  const bare = await readFrames(directorySource({ path: copy.directory, sessionName: 's' }));
  t.deepEqual(only(bare.frames, 'index'), only(indexed.frames, 'index'));
  t.true(only(bare.frames, 'index').length > 3);
});

test('packets of all streams leave in the order of their times, and each is followed by its index', async (t) => {
  const { frames } = await readFrames(directorySource({ path: fixture('captures/two-channels/oracle') }));
  const times = only(frames, 'index').map(({ timestampBeginCycles }) => timestampBeginCycles);
  t.deepEqual(
    times,
    times.toSorted((a, b) => (a < b ? -1 : 1)),
  );
  const firstData = frames.findIndex(({ kind }) => kind === 'data');
  t.true(frames.findLastIndex(({ kind }) => kind === 'metadata') < firstData);
});

test('a packet larger than a slab comes in parts', async (t) => {
  const copy = relayTrace(t);
  const pool = new SlabPool({ slabBytes: 1000, slabs: 2 });
  const { frames } = await readFrames(directorySource({ path: copy.directory, pool }));
  const files = rebuild(frames);
  for (const name of streamFiles(copy.directory)) {
    const [file] = [...files].flatMap(([at, rebuilt]) => (at.endsWith(`/${name}`) ? [rebuilt] : []));
    t.true(file?.bytes.equals(copy.read(name)), name);
  }
  t.is(pool.inUse, 0);
});

test('a data stream file behind a symbolic link is one like others', async (t) => {
  const copy = relayTrace(t);
  const packets = async () =>
    only((await readFrames(directorySource({ path: copy.directory }))).frames, 'index').length;
  const expected = await packets();
  const there = `${copy.directory}.there`;
  t.teardown(() => rmSync(there));
  renameSync(join(copy.directory, 'small_0'), there);
  symlinkSync(there, join(copy.directory, 'small_0'));
  t.is(await packets(), expected);
});

test('a record of a lost packet becomes a lost frame with what was announced', async (t) => {
  const copy = relayTrace(t);
  copy.edit('index/small_0.idx', (bytes) => {
    bytes.writeBigUInt64BE(2n ** 64n - 1n, 16 + 72);
    return bytes;
  });
  const { frames } = await readFrames(directorySource({ path: copy.directory }));
  const [lost] = only(frames, 'lost');
  t.is(lost?.netSeqNum, 1n);
  t.is(lost?.index?.packetSizeBits, 32768n);
});

test('a truncated packet is told, everything else is delivered, and the session is aborted', async (t) => {
  const copy = relayTrace(t);
  copy.edit('small_0', (bytes) => bytes.subarray(0, bytes.length - 100));
  const told: MillraceError[] = [];
  const damaged = (error: MillraceError) => told.push(error);
  const { frames, outcome } = await readFrames(directorySource({ path: copy.directory, damaged }));
  t.deepEqual(outcome, { kind: 'end' });
  t.true(told.length > 0);
  t.true(told.every(({ code }) => code === 'MR_ERR_CONSUMER_DAMAGE'));
  t.is(only(frames, 'sessionEnd')[0]?.outcome, 'abort');
  const small = only(frames, 'streamOpen').find(({ channelName }) => channelName === 'small_0')?.stream;
  t.is(only(frames, 'index').filter(({ stream }) => stream === small).length, 2);
});

test('a directory that is no trace, and metadata that ends in the middle, are refused by name', async (t) => {
  const copy = relayTrace(t);
  copy.edit('metadata', (bytes) => bytes.subarray(0, 3000));
  const cut = await readFrames(directorySource({ path: copy.directory }));
  t.is(cut.outcome.kind === 'error' && cut.outcome.error.code, 'MR_ERR_CONSUMER_NO_TRACE');
  t.is(cut.frames.length, 0);
  const none = await readFrames(directorySource({ path: `${fixture('captures')}/nothing` }));
  t.is(none.outcome.kind === 'error' && none.outcome.error.code, 'MR_ERR_DISK_READ');
});

test('a source that nobody wants any more lets go of its slabs and files', async (t) => {
  const pool = new SlabPool({ slabBytes: 8192, slabs: 1 });
  const path = relayTrace(t).directory;
  const source = directorySource({ path, pool });
  const kept = [];
  source.on('data', (batch) => kept.push(batch));
  while (pool.inUse === 0) await tick();
  // the only slab is kept: the source waits for one
  for (let i = 0; i < 20; i += 1) await tick();
  const closed = new Promise((resolve) => source.once('close', resolve));
  source.destroy();
  await closed;
  t.is(pool.waiting, 0);
  t.deepEqual(openBelow(path), []);
});

test('where directories are called as relays call them, that is what a session is called', async (t) => {
  const [trace] = tracesBelow(fixture('captures/two-channels/oracle')) as [string];
  const root = copyOf(t, join(trace, '../../../../../..')).directory;
  const [own] = readdirSync(join(root, 'traced')) as [string];
  // `millrace consume --session copied --hostname other` left a copy; somebody has another one by its side
  for (const copy of ['other/copied-20261120-220833', 'traced/mine'])
    cpSync(join(root, 'traced', own), join(root, copy), { recursive: true });
  const { frames } = await readFrames(directorySource({ path: root }));
  const names = only(frames, 'sessionOpen').map(({ hostname, sessionName }) => `${hostname}/${sessionName}`);
  const [, name] = /^(.*)-\d{8}-\d{6}$/.exec(own) as unknown as [string, string];
  t.deepEqual(names.sort(), ['other/copied', `traced/${name}`, `traced/${name}-2`].sort());
});

/** Files of a directory that this process has open. */
function openBelow(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      // The descriptor of this very listing.
      return [];
    }
  });
}
