/**
 * A stream that goes over to another trace chunk, in every order in which its data, its indexes and the request can
 * come. The expectation is the definition alone: a packet belongs to the next chunk if its packet_seq_num is at or
 * behind the position, unless it was complete before the request.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pattern } from '../helpers/bytes.ts';
import { sessionOpen, streamOpen } from '../helpers/frames.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';
import { indexFrame, interleavings, type StoreSettings, TestStore } from '../helpers/store.ts';

type Event =
  | { kind: 'data'; packet: number; part: 0 | 1 | 'all' }
  | { kind: 'index'; packet: number }
  | 'request';

const inChunk = 'ust/uid/0/64-bit';

function packetsOf(numbers: readonly bigint[]) {
  return numbers.map((packetSeqNum, n) => {
    const content = pattern(60 + 20 * n, n + 1);
    const paddingSizeBytes = n === 1 ? 4 : 0;
    const storedBytes = content.length + paddingSizeBytes;
    const facts = { ...r.indexFacts(BigInt(n), storedBytes, content.length), packetSeqNum };
    const stored = Buffer.concat([content, Buffer.alloc(paddingSizeBytes)]);
    return { netSeqNum: BigInt(n), content, paddingSizeBytes, stored, facts };
  });
}

/** Plays one order on session `session` of the store, and returns what the old and the new chunk hold. */
async function play(
  store: TestStore,
  session: number,
  numbers: readonly bigint[],
  at: bigint,
  order: readonly Event[],
): Promise<Record<string, Buffer>> {
  const packets = packetsOf(numbers);
  const stream = session;
  const chunk = { session, overrideName: undefined };
  store.accept(
    sessionOpen({ session, idSessiond: BigInt(session), sessionName: `s${session}` }),
    { kind: 'chunkOpen', chunk: 0n, creationTimeS: 10n, ...chunk },
    streamOpen({ session, stream, channelName: 'c_0' }),
  );
  for (const event of order) {
    if (event === 'request') {
      store.accept({ kind: 'chunkOpen', chunk: 1n, creationTimeS: 20n, ...chunk });
      store.accept({ kind: 'switch', stream, atPacketSeqNum: at, chunk: 1n });
      store.accept({ kind: 'chunkDone', session, chunk: 0n, closeTimeS: 30n, action: 'moveToCompleted' });
      continue;
    }
    const { netSeqNum, content, paddingSizeBytes, facts } = packets[event.packet] as (typeof packets)[number];
    if (event.kind === 'index') store.accept(indexFrame(stream, netSeqNum, facts));
    else {
      const half = content.length / 2;
      const from = event.part === 1 ? half : 0;
      const to = event.part === 0 ? half : content.length;
      const written = store.data({ stream, netSeqNum, content, paddingSizeBytes, from, to });
      if (store.settings.pooled !== true) await written;
    }
  }
  store.accept({ kind: 'streamEnd', session, stream, lastNetSeqNum: BigInt(packets.length - 1) });
  await store.streamClosed(stream);
  await store.idle();
  store.accept({ kind: 'sessionEnd', session, outcome: 'end' });
  if (store.store.chunksInUse !== 0) throw new Error('a trace chunk is still in use');
  if (Object.keys(store.store.lost).length > 0) throw new Error(`lost: ${JSON.stringify(store.store.lost)}`);
  const directory = join('host', `s${session}-${r.creationDate}`);
  const files = store.files(directory);
  rmSync(join(store.outputPath, directory), { recursive: true });
  return files;
}

function isData(event: Event, packet: number, last: boolean): boolean {
  return (
    event !== 'request' && event.kind === 'data' && event.packet === packet && (!last || event.part !== 0)
  );
}

/** Whether both halves of a packet come before the request. */
function isEarly(packet: number, order: readonly Event[]): boolean {
  const before = order.slice(0, order.indexOf('request'));
  const indexed = before.some(
    (event) => event !== 'request' && event.kind === 'index' && event.packet === packet,
  );
  return indexed && before.some((event) => isData(event, packet, true));
}

function expected(numbers: readonly bigint[], at: bigint, order: readonly Event[]): Record<string, Buffer> {
  const packets = packetsOf(numbers);
  const isOld = (n: number) => (numbers[n] as bigint) < at || isEarly(n, order);
  const chunkFiles = (root: string, members: typeof packets) => {
    let offset = 0;
    const records = members.map(({ stored, facts }) => {
      const record = [offset, facts] as const;
      offset += stored.length;
      return record;
    });
    const data = { [`${root}/${inChunk}/c_0`]: Buffer.concat(members.map(({ stored }) => stored)) };
    return members.length === 0
      ? data
      : { ...data, [`${root}/${inChunk}/index/c_0.idx`]: r.indexFile(15, records) };
  };
  const reached = (numbers.at(-1) as bigint) + 1n >= at;
  return {
    ...chunkFiles(
      `archives/19700101T000010+0000-19700101T000030+0000-0`,
      packets.filter((_, n) => isOld(n)),
    ),
    // A stream that ends before it has gone over leaves nothing in the next chunk.
    ...(reached
      ? chunkFiles(
          `19700101T000020+0000-1`,
          packets.filter((_, n) => !isOld(n)),
        )
      : {}),
  };
}

function* orders(packets: number, parts: ReadonlyArray<0 | 1 | 'all'>): Generator<Event[]> {
  const all = Array.from({ length: packets }, (_, packet) => packet);
  const data = all.flatMap((packet) => parts.map((part): Event => ({ kind: 'data', packet, part })));
  const indexes = all.map((packet): Event => ({ kind: 'index', packet }));
  for (let at = 0; at <= packets; at += 1)
    yield* interleavings<Event>(data, [...indexes.slice(0, at), 'request', ...indexes.slice(at)]);
}

const inWords = (order: readonly Event[]): string =>
  order
    .map((event) =>
      event === 'request'
        ? 'R'
        : event.kind === 'index'
          ? `i${event.packet}`
          : `d${event.packet}${event.part === 'all' ? '' : event.part === 0 ? '(' : ')'}`,
    )
    .join(' ');

const sizes = (files: Record<string, Buffer>): string =>
  Object.entries(files)
    .map(([path, bytes]) => `${path} ${bytes.length}`)
    .join(', ');

interface Case {
  settings: StoreSettings;
  numbers: readonly bigint[];
  positions: readonly bigint[];
  parts: ReadonlyArray<0 | 1 | 'all'>;
}

/** Plays every order at every position; where a write may be under way, none in which the position has passed. */
async function playAll(
  store: TestStore,
  { numbers, positions, parts }: Case,
): Promise<{ played: number; wrong: string[] }> {
  const exact = store.settings.pooled !== true && (store.settings.durability ?? 'none') === 'none';
  const wrong: string[] = [];
  let played = 0;
  for (const at of positions)
    for (const order of orders(numbers.length, parts)) {
      if (wrong.length === 3) break;
      if (!exact && numbers.some((number, n) => number >= at && isEarly(n, order))) continue;
      played += 1;
      const want = expected(numbers, at, order);
      const got = await play(store, played, numbers, at, order).catch((error: Error) => error);
      const same =
        !(got instanceof Error) &&
        Object.keys(got).sort().join() === Object.keys(want).sort().join() &&
        Object.entries(want).every(([path, bytes]) => got[path]?.equals(bytes));
      if (!same)
        wrong.push(`at ${at}: ${inWords(order)}: ${got instanceof Error ? got.message : sizes(got)}`);
    }
  return { played, wrong };
}

const cases: Record<string, Case> = {
  'three packets in two reads each': {
    settings: {},
    numbers: [5n, 6n, 7n],
    positions: [5n, 7n],
    parts: [0, 1],
  },
  'numbers from 0 on, position 0': {
    settings: {},
    numbers: [0n, 1n],
    positions: [0n, 1n, 2n],
    parts: [0, 1],
  },
  'numbers that jump over the position, and a position that none reaches': {
    settings: {},
    numbers: [3n, 5n, 9n],
    positions: [4n, 6n, 7n, 8n, 10n, 12n],
    parts: ['all'],
  },
  'four packets': { settings: {}, numbers: [0n, 1n, 2n, 3n], positions: [2n, 4n], parts: ['all'] },
  'a disk that stalls': {
    settings: { pooled: true },
    numbers: [5n, 6n, 7n],
    positions: [5n, 6n, 7n, 8n],
    parts: ['all'],
  },
  'durability packet': {
    settings: { durability: 'packet' },
    numbers: [5n, 6n, 7n],
    positions: [6n, 7n],
    parts: ['all'],
  },
  'durability packet on a disk that stalls': {
    settings: { durability: 'packet', pooled: true },
    numbers: [5n, 6n],
    positions: [5n, 6n, 7n],
    parts: [0, 1],
  },
  'durability sync': {
    settings: { durability: 'sync' },
    numbers: [5n, 6n, 7n],
    positions: [6n, 7n],
    parts: ['all'],
  },
};

for (const [what, given] of Object.entries(cases))
  test(`every byte is in its right chunk, whatever the order of data, index and request: ${what}`, async (t) => {
    const { played, wrong } = await playAll(TestStore.open(t, given.settings), given);
    t.deepEqual(wrong, []);
    t.log(`${played} orders`);
  });
