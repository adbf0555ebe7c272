import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { directorySource } from '../../lib/consumer/directory-source.ts';
import { type StoreSinkOptions, storeSink } from '../../lib/disk/store-sink.ts';
import { verifyStore } from '../../lib/disk/verify/index.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose, type Outcome } from '../../lib/stage/compose.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { looseSlab } from '../../lib/stage/slab.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import * as f from '../helpers/frames.ts';
import { sourceOf } from '../helpers/pipes.ts';
import { fixture } from '../helpers/traces.ts';

// Directory names hold local time.
process.env.TZ = 'UTC';

/** Every file below a directory with its bytes. */
function files(directory: string): Map<string, string> {
  return new Map(
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path): [string, string] => [path.slice(directory.length), readFileSync(path, 'hex')])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

async function store(
  t: ExecutionContext,
  batches: FrameBatch[],
  options: Partial<StoreSinkOptions> = {},
): Promise<{ outputPath: string; outcome: Outcome }> {
  const outputPath = temporaryDirectory(t);
  const outcome = await compose([
    { name: 'source', stream: sourceOf(batches) },
    { name: 'store', stream: storeSink({ outputPath, ...options }) },
  ]).outcome;
  return { outputPath, outcome };
}

const recorded = ['ust-plain', 'two-channels', 'per-process', 'rotation', 'two-consumers-rotation', 'live'];
for (const name of recorded)
  for (const durability of ['none', 'sync', 'packet'] as const)
    test(`what lttng-relayd stored is stored again byte for byte: ${name}, --sync=${durability}`, async (t) => {
      const from = fixture(`captures/${name}/oracle`);
      const outputPath = temporaryDirectory(t);
      const sink = storeSink({ outputPath, durability, syncIntervalMs: 5 });
      const outcome = await compose([
        { name: 'source', stream: directorySource({ path: from }) },
        { name: 'store', stream: sink },
      ]).outcome;
      t.deepEqual(outcome, { kind: 'end' });
      t.deepEqual(files(outputPath), files(from));
      t.deepEqual(sink.totals.lost, {});
      t.true(sink.totals.packets > 0);
    });

const packet = (stream: number, netSeqNum: bigint, given: Partial<Frame> = {}): Frame[] => [
  f.data(netSeqNum, { stream, ...given }),
  f.index(netSeqNum, { stream }),
];
const loose = (frames: Frame[]): FrameBatch => ({ slab: looseSlab(Buffer.from('01234567')), frames });
const place = 'host/s1-20231114-221320/ust/uid/0/64-bit';

function offsets(outputPath: string): (number | 'lost')[] {
  const bytes = readFileSync(join(outputPath, place, 'index/ch_0.idx'));
  return Array.from({ length: (bytes.length - 16) / 72 }, (_, at) => {
    const offset = bytes.readBigUInt64BE(16 + at * 72);
    return offset === 2n ** 64n - 1n ? 'lost' : Number(offset);
  });
}

test('a packet that was announced and lost leaves a record with offset -1, in its place', async (t) => {
  const { outputPath, outcome } = await store(t, [
    loose([
      ...f.opening(),
      ...packet(1, 0n),
      f.index(1n),
      f.lost(1n, { cause: 'link', index: f.index(1n) }),
      f.lost(2n, { cause: 'link', index: f.index(2n) }),
      ...packet(1, 3n),
      f.lost(4n, { cause: 'link' }),
      f.streamEnd(4n),
      f.streamEnd(undefined, 9),
      f.chunkDone(),
      f.sessionEnd(),
    ]),
  ]);
  t.deepEqual(outcome, { kind: 'end' });
  const [archive] = readdirSync(join(outputPath, 'host/s1-20231114-221320/archives'));
  const moved = join(outputPath, 'host/s1-20231114-221320/archives', archive as string, 'ust/uid/0/64-bit');
  t.is(readFileSync(join(moved, 'ch_0'), 'utf8'), '0123456701234567');
  const idx = readFileSync(join(moved, 'index/ch_0.idx'));
  const records = [0, 1, 2, 3].map((at) => idx.readBigUInt64BE(16 + at * 72));
  t.deepEqual(records, [0n, 2n ** 64n - 1n, 2n ** 64n - 1n, 8n]);
  t.is(idx.length, 16 + 4 * 72);
});

for (const durability of ['none', 'packet'] as const)
  test(`a packet that was cut short is cut out of the file, with --sync=${durability}`, async (t) => {
    const { outputPath, outcome } = await store(
      t,
      [
        loose([...f.opening(), ...packet(1, 0n), f.data(1n, { end: 3, last: false, dataSizeBytes: 8 })]),
        loose([f.lost(1n, { cause: 'link', index: f.index(1n) }), ...packet(1, 2n)]),
        loose([f.streamEnd(2n), f.streamEnd(undefined, 9), f.sessionEnd()]),
      ],
      { durability },
    );
    t.deepEqual(outcome, { kind: 'end' });
    t.is(readFileSync(join(outputPath, place, 'ch_0'), 'utf8'), '0123456701234567');
    t.deepEqual(offsets(outputPath), [0, 'lost', 8]);
  });

test('data whose index never came does not hold up what follows it', async (t) => {
  const { outputPath } = await store(t, [
    loose([...f.opening(), f.data(0n), f.lost(0n, { cause: 'its index never came' }), ...packet(1, 1n)]),
    loose([f.streamEnd(1n), f.streamEnd(undefined, 9), f.sessionEnd()]),
  ]);
  t.deepEqual(offsets(outputPath), [8]);
  t.is(readFileSync(join(outputPath, place, 'ch_0'), 'utf8'), '0123456701234567');
});

test('a stream that only lost packets has an index of them and an empty data file', async (t) => {
  const { outputPath } = await store(t, [
    loose([...f.opening(), f.lost(0n, { index: f.index(0n) })]),
    loose([f.streamEnd(0n), f.streamEnd(undefined, 9), f.sessionEnd()]),
  ]);
  t.deepEqual(offsets(outputPath), ['lost']);
  t.is(readFileSync(join(outputPath, place, 'ch_0'), 'utf8'), '');
});

test('an input that ends or fails in the middle leaves what was whole, and nothing that holds the directory', async (t) => {
  const half = [
    loose([...f.opening(), ...packet(1, 0n), f.data(1n, { end: 3, last: false, dataSizeBytes: 8 })]),
  ];
  const { outputPath, outcome } = await store(t, half);
  t.deepEqual(outcome, { kind: 'end' });
  t.is(readFileSync(join(outputPath, place, 'ch_0'), 'utf8'), '01234567');
  t.false(existsSync(join(outputPath, '.millrace')));

  const other = temporaryDirectory(t);
  const sink = storeSink({ outputPath: other });
  await new Promise<void>((resolve) => {
    sink.write(
      loose([...f.opening(), ...packet(1, 0n), f.data(1n, { end: 3, last: false, dataSizeBytes: 8 })]),
      () => resolve(),
    );
  });
  const closed = new Promise((resolve) => sink.once('close', resolve));
  sink.destroy();
  await closed;
  t.is(readFileSync(join(other, place, 'ch_0'), 'utf8'), '01234567');
  t.false(existsSync(join(other, '.millrace')));
  t.true((await verifyStore(other)).faults.every(({ code }) => code === 'metadata-invalid'));
});

test('two stores in one directory: the second is refused by name', async (t) => {
  const outputPath = temporaryDirectory(t);
  const first = storeSink({ outputPath });
  await new Promise<void>((resolve) => first.write(loose(f.opening()), () => resolve()));
  const { outcome } = await store(t, [loose(f.opening())], { outputPath });
  t.is(outcome.kind === 'error' && outcome.error.code, 'MR_ERR_DISK_IN_USE');
  await new Promise<void>((resolve) => first.end(resolve));
});

test('a session whose directory is taken is stored beside it, and nothing that was stored is written over', async (t) => {
  const outputPath = temporaryDirectory(t);
  const one = (content: string): FrameBatch => ({
    slab: looseSlab(Buffer.from(content)),
    frames: [...f.opening(), ...packet(1, 0n), f.streamEnd(0n), f.streamEnd(undefined, 9), f.sessionEnd()],
  });
  for (const content of ['first___', 'second__', 'third___'])
    t.deepEqual((await store(t, [one(content)], { outputPath })).outcome, { kind: 'end' });
  const content = (session: string) =>
    readFileSync(join(outputPath, 'host', session, 'ust/uid/0/64-bit/ch_0'), 'utf8');
  t.is(content('s1-20231114-221320'), 'first___');
  t.is(content('s1-20231114-221320.2'), 'second__');
  t.is(content('s1-20231114-221320.3'), 'third___');
});

test('two consumer daemons of one session share its directory', async (t) => {
  const second = (frames: Frame[]) =>
    frames.map((frame): Frame => {
      const moved: Record<string, unknown> = { ...frame };
      if ('session' in frame) moved.session = 2;
      if ('stream' in frame) moved.stream = frame.stream + 100;
      if (frame.kind === 'streamOpen') moved.path = 'ust/uid/0/32-bit';
      return moved as unknown as Frame;
    });
  const { outputPath, outcome } = await store(t, [
    loose([...f.opening(), ...packet(1, 0n), ...second([...f.opening(), ...packet(1, 0n)])]),
    loose([f.sessionEnd(), ...second([f.sessionEnd()])]),
  ]);
  t.deepEqual(outcome, { kind: 'end' });
  t.deepEqual(readdirSync(join(outputPath, 'host')), ['s1-20231114-221320']);
  t.deepEqual(readdirSync(join(outputPath, 'host/s1-20231114-221320/ust/uid/0')).sort(), [
    '32-bit',
    '64-bit',
  ]);
});

test('streams that name their own directories, as producers before 2.11 do, replace no file', async (t) => {
  const old = (): FrameBatch => {
    const path = '/host/s1-20231114-221320/ust';
    return loose([
      f.sessionOpen({ minor: 8 }),
      f.streamOpen({ path }),
      f.streamOpen({ stream: 9, channelName: 'metadata', path }),
      f.metadata(),
      ...packet(1, 0n),
      f.sessionEnd(),
    ]);
  };
  const { outputPath, outcome } = await store(t, [old()]);
  t.deepEqual(outcome, { kind: 'end' });
  const again = (await store(t, [old()], { outputPath })).outcome;
  t.is(again.kind === 'error' && again.error.code, 'MR_ERR_DISK_CREATE');
  t.is(readFileSync(join(outputPath, 'host/s1-20231114-221320/ust/ch_0'), 'utf8'), '01234567');
});
