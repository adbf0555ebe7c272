import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { decode, type EventBatch, type PacketInput, TraceDecoder } from '../../lib/viewer/index.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { type Batch, pooled } from '../helpers/pipes.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';
import { fixture } from '../helpers/traces.ts';

const trace = fixture('corpus/ust-time-gaps/trace/ust/uid/0/64-bit');
const metadata = readFileSync(join(trace, 'metadata'));
const packets: PacketInput[] = ['tg_0', 'tg_1'].map((stream) => ({
  stream,
  bytes: readFileSync(join(trace, stream)),
}));

test('decode(): packets in, batches of events out, with names, times and fields', async (t) => {
  const batches: EventBatch[] = [];
  for await (const batch of Readable.from(packets).pipe(decode({ metadata })))
    batches.push(batch as EventBatch);
  t.deepEqual(
    batches.map(({ stream, events }) => [stream, events.length]),
    [
      ['tg_0', 29],
      ['tg_1', 15],
    ],
  );
  const [first, second] = batches[1]?.events ?? [];
  t.is(first?.name, 'work:begin');
  t.is(first?.timeNs, 1_795_198_950_657_161_535n);
  t.is(first?.class.logLevel, 13);
  t.deepEqual({ ...first?.packetContext }, { cpu_id: 1 });
  t.deepEqual({ ...first?.payload }, { id: 0, iter: 0, load: 0 });
  t.like(second?.payload, { state: { labels: ['IDLE'], value: 0 } });
});

test('decode(): fields are read in any order, long after their packet, and once', (t) => {
  const decoder = new TraceDecoder(metadata);
  const events = packets.flatMap((packet) => decoder.events(packet));
  const forward = events.map(({ payload }) => payload);
  const again = new TraceDecoder(metadata);
  const backward = packets.flatMap((packet) => again.events(packet)).reverse();
  t.deepEqual(
    backward.map(({ payload }) => payload),
    forward.reverse(),
  );
  t.is(events[3]?.payload, events[3]?.payload);
});

test('decode(): what is no packet ends the stage with a code', async (t) => {
  const stage = Readable.from([{ bytes: Buffer.alloc(200) }]).pipe(decode({ metadata }));
  const error = await t.throwsAsync(async () => {
    for await (const batch of stage) t.fail(JSON.stringify(batch));
  });
  t.true(error instanceof MillraceError && error.code === 'MR_ERR_CTF_MAGIC');
});

/** Packets own their bytes: no slab is lent to them. */
const packetBatch = (at: number) => ({ ...packets[at % 2], slab: undefined }) as unknown as Batch;

test('decode(): end, error and abort', (t) =>
  outcomes(t, {
    name: 'decode',
    stage: () => decode({ metadata }),
    batches: () => ({ pool: pooled(0, () => packetBatch(0)).pool, batches: [0, 1, 2, 3].map(packetBatch) }),
  }));

test('decode(): a stalled sink holds the source back', (t) =>
  stall(t, { stage: decode({ metadata }), batch: packetBatch, inFlight: inFlightOf(2) }));
