import {
  createReadStream,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import test, { type ExecutionContext } from 'ava';
import { captureSink } from '../../lib/disk/capture-sink.ts';
import { type CaptureInput, captureSource } from '../../lib/disk/capture-source.ts';
import { createLogFile, createLogStream } from '../../lib/disk/log-writer.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose } from '../../lib/stage/compose.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { order } from '../../lib/stage/order.ts';
import { looseSlab } from '../../lib/stage/slab.ts';
import { data, index, opening, sessionEnd, streamEnd, tick } from '../helpers/frames.ts';
import { pooled, sinkInto, sourceOf, stalledSink } from '../helpers/pipes.ts';

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-capture-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

/** A frame and the bytes it speaks of. */
type Said = [frame: Frame, bytes: string | undefined];

const said = (batches: FrameBatch[]): Said[] =>
  batches.flatMap(({ frames, slab }) =>
    frames.map((frame): Said => {
      if (!('start' in frame)) return [frame, undefined];
      const content = slab?.bytes.subarray(frame.start, frame.end).toString('latin1');
      return [{ ...frame, start: 0, end: frame.end - frame.start }, content];
    }),
  );

/** A session with packets of these sizes, one batch each. */
function session(sizes: number[]): FrameBatch[] {
  const packets = sizes.map((size, n): FrameBatch => {
    const slab = looseSlab(Buffer.alloc(size + 3, String.fromCharCode(97 + (n % 26))));
    const frame = data(BigInt(n), { start: 3, end: size + 3, dataSizeBytes: size });
    return { slab, frames: [frame, index(BigInt(n))] };
  });
  return [
    { slab: looseSlab(Buffer.from('metadata')), frames: opening() },
    ...packets,
    { slab: undefined, frames: [streamEnd(BigInt(sizes.length - 1)), streamEnd(undefined, 9), sessionEnd()] },
  ];
}

async function read(input: CaptureInput): Promise<{ batches: FrameBatch[]; torn: boolean }> {
  const source = captureSource(input);
  return { batches: (await source.toArray()) as FrameBatch[], torn: source.torn };
}

test('capture: frames and their bytes come back as they were, wherever reads divide them', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  // records of every length against reads of 256 KiB, and one longer than several of them
  const batches = session([0, 1, 100_000, 262_144, 150_000, 900_000, 7, 8, 9]);
  await pipeline(Readable.from(batches), captureSink(createLogFile(path, { content: 'frames' })));
  const whole = await read({ path });
  t.deepEqual(said(whole.batches), said(batches));
  t.false(whole.torn);

  for (const highWaterMark of [1000, 4093]) {
    const stream = createReadStream(path, { highWaterMark });
    t.deepEqual(said((await read({ stream, name: 'pipe' })).batches), said(batches));
  }
});

test('capture: one byte at a time is the same log', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  const batches = session([5, 0, 9]);
  await pipeline(Readable.from(batches), captureSink(createLogFile(path, { content: 'frames' })));
  const single = Readable.from([...readFileSync(path)].map((byte) => Buffer.from([byte])));
  t.deepEqual(said((await read({ stream: single, name: 'pipe' })).batches), said(batches));
});

test('capture: frames come at the pace at which they were written, if that is asked for', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  const entries = [0n, 100n, 200n].map((ms) => ({
    kind: 'published' as const,
    parts: [Buffer.from([0, 0, 0, 1])],
    timeNs: ms * 1_000_000n,
  }));
  await pipeline(Readable.from(entries), createLogFile(path, { content: 'frames' }));
  const startMs = performance.now();
  t.is((await captureSource({ path }, { speed: 2 }).toArray()).length, 3);
  t.true(performance.now() - startMs >= 95);
});

test('capture: a log in segments reads as one; with a bound the oldest go, and frames cannot do without', async (t) => {
  const directory = temporary(t);
  const forty = () => session(Array.from({ length: 40 }, () => 1000));
  const into = (name: string, segments?: number) =>
    pipeline(
      Readable.from(forty()),
      captureSink(
        createLogFile(join(directory, name), {
          content: 'frames',
          segmentBytes: 8000,
          ...(segments !== undefined && { segments }),
        }),
      ),
    );
  await into('all');
  t.true(readdirSync(directory).length > 4);
  t.deepEqual(said((await read({ path: join(directory, 'all') })).batches), said(forty()));

  await into('last', 2);
  t.is(readdirSync(directory).filter((name) => name.startsWith('last')).length, 2);
  await t.throwsAsync(read({ path: join(directory, 'last') }), {
    code: 'MR_ERR_LOG_RECORD',
    message: /segment 0 is missing/,
  });
  await t.throwsAsync(into('all'), { code: 'MR_ERR_DISK_CREATE', message: /there already/ });
});

test('capture: a torn tail ends it, and what was open is closed by the order stage', async (t) => {
  const path = join(temporary(t), 'a.mrlog');
  await pipeline(Readable.from(session([10, 20])), captureSink(createLogFile(path, { content: 'frames' })));
  truncateSync(path, readFileSync(path).length - 1);
  const source = captureSource({ path });
  const taken: FrameBatch[] = [];
  const pipe = compose([
    { name: 'capture', stream: source },
    { name: 'order', stream: order() },
    { name: 'sink', stream: sinkInto(taken as never) },
  ]);
  t.deepEqual(await pipe.outcome, { kind: 'end' });
  t.true(source.torn);
  t.like(taken.flatMap(({ frames }) => frames).at(-1), { kind: 'sessionEnd', outcome: 'abort' });
});

test('capture: what is no log of frames is refused by name', async (t) => {
  const directory = temporary(t);
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(directory, name), content);
    return { path: join(directory, name) };
  };
  const refusal = (message: RegExp) => ({ code: 'MR_ERR_LOG_RECORD', message });
  await t.throwsAsync(read(file('empty', '')), refusal(/ended before it began/));
  await t.throwsAsync(
    read(file('text', 'no log at all, but long enough for a header')),
    refusal(/no frame log/),
  );
  const path = join(directory, 'talk');
  await pipeline(Readable.from([]), createLogFile(path, { content: 'conversation' }));
  await t.throwsAsync(read({ path }), refusal(/no frames, but a conversation/));
  await t.throwsAsync(read({ path: join(directory, 'none') }), { code: 'MR_ERR_DISK_READ' });
});

test('capture: the sink holds back while its stream is full, and gives every slab back however it ends', async (t) => {
  const frames = [data(0n, { end: 64, dataSizeBytes: 64 })];
  const given = () => pooled(8, (slab): FrameBatch => ({ slab, frames }));

  const good = given();
  const to = new PassThrough();
  to.resume();
  const pipe = compose([
    { name: 'source', stream: sourceOf(good.batches) },
    { name: 'sink', stream: captureSink(createLogStream(to, { content: 'frames' })) },
  ]);
  t.deepEqual(await pipe.outcome, { kind: 'end' });
  t.is(good.pool.inUse, 0);

  const held = given();
  const stuck = compose([
    { name: 'source', stream: sourceOf(held.batches, { stayOpen: true }) },
    { name: 'sink', stream: captureSink(createLogStream(stalledSink() as never, { content: 'frames' })) },
  ]);
  await tick();
  t.true(held.pool.inUse > 0);
  stuck.abort();
  t.is((await stuck.outcome).kind, 'abort');
  await tick();
  t.is(held.pool.inUse, 0);
});

test('capture: a reader that went away fails the sink, and says so', async (t) => {
  const { pool, batches } = pooled(8, (slab): FrameBatch => ({ slab, frames: [data(0n)] }));
  const to = new PassThrough({ highWaterMark: 1 });
  const pipe = compose([
    { name: 'source', stream: sourceOf(batches, { stayOpen: true }) },
    { name: 'sink', stream: captureSink(createLogStream(to, { content: 'frames' }, 'standard output')) },
  ]);
  await tick();
  to.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  const outcome = await pipe.outcome;
  t.like(outcome, { kind: 'error', stage: 'sink' });
  t.regex(outcome.kind === 'error' ? outcome.error.message : '', /standard output: nobody reads/);
  await tick();
  t.is(pool.inUse, 0);
});

test('capture: a source that is aborted while it waits lets go of its input', async (t) => {
  const stream = new PassThrough();
  const pipe = compose([
    { name: 'source', stream: captureSource({ stream, name: 'standard input' }) },
    { name: 'sink', stream: sinkInto([]) },
  ]);
  await tick();
  pipe.abort();
  t.is((await pipe.outcome).kind, 'abort');
  t.true(stream.destroyed);
});
