import test, { type ExecutionContext } from 'ava';
import { directorySource } from '../../../lib/consumer/index.ts';
import type { FrameBatch } from '../../../lib/stage/batch.ts';
import { releaseBatch } from '../../../lib/stage/batch.ts';
import type { Frame } from '../../../lib/stage/frames.ts';
import { looseSlab } from '../../../lib/stage/slab.ts';
import { LiveView, TextFormat, TimeText } from '../../../lib/viewer/index.ts';
import { corpusCases } from '../../helpers/corpus.ts';
import { plainStyle } from '../../helpers/view.ts';

const metadata = Buffer.from(`/* CTF 1.8 */
typealias integer { size = 8; align = 8; } := u8;
typealias integer { size = 64; align = 8; } := u64;
clock { name = c; freq = 1000000000; };
trace { major = 1; minor = 8; byte_order = le; packet.header := struct { u64 stream_instance_id; }; };
stream { packet.context := struct { u64 timestamp_begin; u64 timestamp_end; u64 content_size; u64 packet_size; };
  event.header := struct { u64 timestamp; }; };
event { name = e; fields := struct { u8 n; }; };
`);

/** A view that writes into a string. */
function viewed(): { view: LiveView; text: () => string } {
  let text = '';
  const clock = { form: 'seconds' as const, gmt: true };
  const view = new LiveView({
    format: new TextFormat({ ...plainStyle, clock, delta: false }, new TimeText(clock, () => {})),
    write: async (lines) => {
      text += Buffer.from(lines).toString('latin1');
    },
  });
  return { view, text: () => text };
}

const session: Frame = {
  kind: 'sessionOpen',
  session: 1,
  hostname: 'h',
  sessionName: 's',
  sessiondUuid: '',
  idSessiond: undefined,
  creationTimeS: undefined,
  nameHasCreationTime: false,
  basePath: '',
  liveTimerUs: 1000,
  snapshot: false,
  minor: 13,
  traceFormat: 'ctf-1.8',
};

const streamOpen = (stream: number, channelName: string): Frame => ({
  kind: 'streamOpen',
  session: 1,
  stream,
  channelName,
  path: 'ust',
  tracefileSizeBytes: 0n,
  tracefileCount: 0n,
});

function metadataBatch(): FrameBatch {
  const frame: Frame = {
    kind: 'metadata',
    session: 1,
    stream: 10,
    version: 0,
    start: 0,
    end: metadata.length,
    last: true,
    paddingSizeBytes: 0,
  };
  return { slab: looseSlab(metadata), frames: [frame] };
}

/** A packet of events at these times, which ends at `end`: its data, and its index if it has one yet. */
function packet(
  stream: number,
  netSeqNum: bigint,
  times: number[],
  end: number,
): { data: FrameBatch; index: Frame } {
  const bytes = Buffer.alloc(40 + times.length * 9);
  const fields = [stream, times[0] ?? end, end, bytes.length * 8, bytes.length * 8];
  for (const [i, field] of fields.entries()) bytes.writeBigUInt64LE(BigInt(field), i * 8);
  for (const [i, time] of times.entries()) {
    bytes.writeBigUInt64LE(BigInt(time), 40 + i * 9);
    bytes[48 + i * 9] = stream;
  }
  const size = bytes.length;
  const data: Frame = {
    kind: 'data',
    stream,
    netSeqNum,
    offsetBytes: 0,
    dataSizeBytes: size,
    start: 0,
    end: size,
    last: true,
    paddingSizeBytes: 0,
  };
  const index: Frame = {
    kind: 'index',
    stream,
    netSeqNum,
    packetSizeBits: BigInt(size * 8),
    contentSizeBits: BigInt(size * 8),
    timestampBeginCycles: BigInt(times[0] ?? end),
    timestampEndCycles: BigInt(end),
    eventsDiscarded: 0n,
    streamClassId: 0n,
    streamInstanceId: BigInt(stream),
    packetSeqNum: undefined,
    metadataPositionBytes: metadata.length,
  };
  return { data: { slab: looseSlab(bytes), frames: [data] }, index };
}

const sync = (...safe: [number, bigint][]): FrameBatch => ({
  slab: undefined,
  frames: [{ kind: 'sync', session: 1, safe: safe.map(([stream, netSeqNum]) => ({ stream, netSeqNum })) }],
});
const inactive = (stream: number, netSeqNum: bigint, end: number): FrameBatch => ({
  slab: undefined,
  frames: [{ kind: 'inactive', stream, netSeqNum, streamClassId: 0n, timestampEndCycles: BigInt(end) }],
});

const line = (time: number, stream: number) => `[0.${String(time).padStart(9, '0')}] e: { n = ${stream} }\n`;

test('live view: prints what beacons make safe, and no later', async (t) => {
  const { view, text } = viewed();
  const frames = [session, streamOpen(10, 'metadata'), streamOpen(1, 'ch_0'), streamOpen(2, 'ch_1')];
  await view.take({ slab: undefined, frames });
  await view.take(metadataBatch());
  const one = packet(1, 0n, [10, 20, 30], 40);
  await view.take({ slab: undefined, frames: [one.index] });
  await view.take(one.data);
  t.is(text(), '', 'no beacon has covered it');
  await view.take(sync([1, 0n]));
  t.is(text(), '', 'the other stream may have something earlier');
  const two = packet(2, 0n, [15, 25], 26);
  await view.take(two.data);
  await view.take({ slab: undefined, frames: [two.index] });
  await view.take(sync([2, 0n]));
  const until25 = line(10, 1) + line(15, 2) + line(20, 1) + line(25, 2);
  t.is(text(), until25, 'the second stream has promised nothing beyond 26');
  await view.take(inactive(2, 0n, 30));
  t.is(text(), until25, 'at 30 the second stream might still come first');
  await view.take(inactive(2, 0n, 31));
  t.is(text(), until25 + line(30, 1));
  await view.end();
  t.is(text(), until25 + line(30, 1));
});

test('live view: a sign of inactivity promises nothing while a packet before it cannot be read', async (t) => {
  const { view, text } = viewed();
  const frames = [session, streamOpen(10, 'metadata'), streamOpen(1, 'ch_0'), streamOpen(2, 'ch_1')];
  await view.take({ slab: undefined, frames });
  await view.take(metadataBatch());
  const one = packet(1, 0n, [10, 50], 60);
  const two = packet(2, 0n, [15], 20);
  await view.take(one.data);
  await view.take(two.data);
  await view.take({ slab: undefined, frames: [one.index, two.index] });
  await view.take(sync([1, 0n]));
  await view.take(inactive(2, 0n, 55));
  t.is(text(), '');
  await view.take(sync([2, 0n]));
  t.is(text(), line(10, 1) + line(15, 2) + line(50, 1));
});

async function printed(t: ExecutionContext, path: string, format: TextFormat): Promise<string> {
  let text = '';
  const view = new LiveView({
    format,
    write: async (lines) => {
      text += Buffer.from(lines).toString('latin1');
    },
  });
  const source = directorySource({ path, locks: 'none' });
  t.teardown(() => source.destroy());
  for await (const batch of source as AsyncIterable<FrameBatch>) {
    await view.take(batch);
    releaseBatch(batch);
  }
  await view.end();
  return text;
}

for (const name of ['ust-live', 'ust-relayd', 'ust-session-rotation', 'ust-snapshot', 'ust-time-gaps'])
  test.serial(`live view: frames of ${name} are printed as its files are`, async (t) => {
    const found = corpusCases().find(({ title }) => title === `${name} default`);
    const format = new TextFormat(plainStyle, new TimeText(plainStyle.clock, () => {}));
    t.is(await printed(t, found?.inputs[0] as string, format), found?.stdout.toString('latin1') as string);
  });
