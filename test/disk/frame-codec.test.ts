import test from 'ava';
import { decodeFrame, encodeFrame } from '../../lib/disk/frame-codec.ts';
import type { Frame, Index } from '../../lib/stage/frames.ts';
import { logKinds } from '../../lib/wire/frame-log.ts';

const max = 2n ** 64n - 1n;
const index: Index = {
  kind: 'index',
  stream: 2,
  netSeqNum: 9n,
  packetSizeBits: 32_768n,
  contentSizeBits: 2336n,
  timestampBeginCycles: 1n,
  timestampEndCycles: max,
  eventsDiscarded: 4n,
  streamClassId: 0n,
  streamInstanceId: 1n,
  packetSeqNum: undefined,
  metadataPositionBytes: 2 ** 40,
};
const frames: Frame[] = [
  {
    kind: 'sessionOpen',
    session: 1,
    hostname: 'vm',
    sessionName: 'sitzung-ü',
    sessiondUuid: '4fd983d1e2674e59beb273be5f2c6231',
    idSessiond: 0n,
    creationTimeS: undefined,
    nameHasCreationTime: true,
    basePath: '',
    liveTimerUs: 1_000_000,
    snapshot: false,
    minor: 13,
    traceFormat: 'ctf-2',
  },
  { kind: 'sessionEnd', session: 1, outcome: 'abort' },
  {
    kind: 'streamOpen',
    session: 1,
    stream: 2,
    channelName: 'ch_0',
    path: 'ust/uid/0/64-bit',
    tracefileSizeBytes: 8192n,
    tracefileCount: 0n,
  },
  { kind: 'streamEnd', session: 1, stream: 2, lastNetSeqNum: undefined },
  { kind: 'published', session: 1 },
  {
    kind: 'metadata',
    session: 1,
    stream: 3,
    version: 1,
    start: 2,
    end: 6,
    last: true,
    paddingSizeBytes: 1159,
  },
  {
    kind: 'data',
    stream: 2,
    netSeqNum: max,
    offsetBytes: 2 ** 33,
    dataSizeBytes: 0xffff_ffff,
    start: 0,
    end: 8,
    last: false,
    paddingSizeBytes: 0,
  },
  index,
  { kind: 'lost', stream: 2, netSeqNum: 10n, cause: 'never came', index: undefined },
  { kind: 'lost', stream: 2, netSeqNum: 9n, cause: '', index },
  {
    kind: 'sync',
    session: 1,
    safe: [
      { stream: 2, netSeqNum: 9n },
      { stream: 4, netSeqNum: 0n },
    ],
  },
  { kind: 'inactive', stream: 2, netSeqNum: 9n, streamClassId: 1n, timestampEndCycles: 5n },
  { kind: 'chunkOpen', session: 1, chunk: 0n, creationTimeS: 1_795_199_703n, overrideName: undefined },
  { kind: 'chunkOpen', session: 1, chunk: 1n, creationTimeS: 0n, overrideName: 'snapshot-0' },
  { kind: 'switch', stream: 2, atPacketSeqNum: 3n, chunk: undefined },
  { kind: 'chunkDone', session: 1, chunk: 0n, closeTimeS: 9n, action: 'moveToCompleted' },
];

test('frame codec: every frame comes back as it was, bytes at its place in the record', (t) => {
  const slab = Buffer.from('01234567');
  const kinds = new Set<string>();
  for (const frame of frames) {
    kinds.add(frame.kind);
    const { kind, parts } = encodeFrame(frame, slab);
    const body = Buffer.concat(parts);
    const back = decodeFrame({ kind: logKinds[kind], body });
    if (back?.kind !== 'data' && back?.kind !== 'metadata') {
      t.deepEqual(back, frame);
      continue;
    }
    const { start, end } = frame as { start: number; end: number };
    t.deepEqual({ ...back, start, end }, frame);
    t.deepEqual(body.subarray(back.start, back.end), slab.subarray(start, end));
    t.is((decodeFrame({ kind: logKinds[kind], body }, 1000) as typeof back).start, back.start + 1000);
  }
  t.is(kinds.size, 14);
});

test('frame codec: a payload is a view of the slab, not a copy', (t) => {
  const slab = Buffer.from('01234567');
  const [, bytes] = encodeFrame(frames[6] as Frame, slab).parts;
  t.is(bytes?.buffer, slab.buffer);
});

test('frame codec: a data frame lies as the README draws it', (t) => {
  const frame: Frame = {
    kind: 'data',
    stream: 7,
    netSeqNum: 9n,
    offsetBytes: 16,
    dataSizeBytes: 20,
    start: 0,
    end: 4,
    last: true,
    paddingSizeBytes: 4,
  };
  const body = Buffer.concat(encodeFrame(frame, Buffer.from('c11ffcc1', 'hex')).parts).toString('hex');
  t.is(body, '0000000700000000000000090000000000000010000000140000000401c11ffcc1');
});

test('frame codec: records that are no frames are left to others, broken bodies refused', (t) => {
  t.is(decodeFrame({ kind: logKinds.bytes, body: Buffer.alloc(0) }), undefined);
  t.throws(() => decodeFrame({ kind: logKinds.index, body: Buffer.alloc(10) }), {
    code: 'MR_ERR_WIRE_SHORT',
  });
  t.throws(() => decodeFrame({ kind: logKinds.sessionEnd, body: Buffer.from('0000000109', 'hex') }), {
    code: 'MR_ERR_WIRE_VALUE',
  });
});
