import test from 'ava';
import fc from 'fast-check';
import type { Struct } from '../../../lib/schema/index.ts';
import {
  datagram,
  dataHeader,
  dumpRequest,
  relayCommands,
  requestHeader,
  requestLayout,
} from '../../../lib/wire/relay/index.ts';
import { codeOf, hex } from '../../helpers/hex.ts';
import { testLayouts } from '../../helpers/layout-tests.ts';

const layouts = new Map<string, Struct<object>>(
  [
    requestHeader,
    dataHeader,
    datagram,
    ...[...relayCommands.values()].flatMap(({ request, reply }) =>
      [...request, ...reply].map(([, layout]) => layout),
    ),
  ].map((layout) => [layout.name, layout as Struct<object>]),
);

/** Least sizes, from the tables of the protocol reference; strings count their NUL, absent ones nothing. */
const sizes: Record<string, readonly [fixed: number, strings: number]> = {
  requestHeader: [24, 0],
  dataHeader: [32, 0],
  genericReply: [4, 0],
  version: [8, 0],
  getConfiguration: [8, 0],
  getConfigurationReply: [12, 0],
  createSession: [0, 0],
  createSession2_4: [327, 0],
  createSession2_11: [59, 2],
  createSession2_15: [63, 2],
  createSessionReply: [12, 0],
  createSessionReply2_11: [16, 0],
  addStream: [4360, 0],
  addStream2_2: [4376, 0],
  addStream2_11: [32, 2],
  addStreamReply: [12, 0],
  streamsSent: [0, 0],
  closeStream: [16, 0],
  sendMetadata: [12, 0],
  resetMetadata: [16, 0],
  startData: [0, 0],
  dataPending: [16, 0],
  quiescentControl: [8, 0],
  beginDataPending: [8, 0],
  endDataPending: [8, 0],
  sendIndex2_4: [64, 0],
  sendIndex2_8: [80, 0],
  createTraceChunk: [20, 0],
  closeTraceChunk: [21, 0],
  closeTraceChunkReply: [8, 0],
  traceChunkExists: [8, 0],
  traceChunkExistsReply: [5, 0],
  rotateStreamsAligned8: [20, 0],
  rotateStreamsAligned4: [16, 0],
  rotateStreamsPacked: [13, 0],
  // private, of our own making
  datagram: [48, 0],
  udpOpen: [0, 0],
  udpOpenReply: [20, 0],
  udpSent: [12, 0],
  udpSentReply: [20, 0],
  lastStored: [6, 2],
  lastStoredReply: [37, 0],
  resumeSession: [17, 0],
  resumeSessionReply: [10, 0],
  packetLost: [82, 1],
  forwardTo: [2, 1],
};

test('relay layouts: there is a size in the reference for each, and it is that', (t) => {
  const expected = Object.entries(sizes).map(([name, [fixed, strings]]) => [name, fixed + strings]);
  t.deepEqual(
    Object.fromEntries([...layouts].map(([name, { minSizeBytes }]) => [name, minSizeBytes])),
    Object.fromEntries(expected),
  );
});

test('relay layouts: fields lie at the offsets of the reference', (t) => {
  const offsets: [string, string, number][] = [
    ['requestHeader', 'dataSizeBytes', 8],
    ['requestHeader', 'command', 16],
    ['dataHeader', 'netSeqNum', 16],
    ['dataHeader', 'paddingSizeBytes', 28],
    ['createSession2_4', 'hostname', 255],
    ['createSession2_4', 'liveTimerUs', 319],
    ['createSession2_4', 'snapshot', 323],
    ['createSession2_11', 'nameHasCreationTime', 17],
    ['createSession2_11', 'sessiondUuid', 18],
    ['createSession2_11', 'idSessiond', 34],
    ['createSession2_11', 'creationTimeS', 42],
    ['createSession2_11', 'currentChunkId', 50],
    ['createSession2_15', 'traceFormat', 59],
    ['createSession2_15', 'sessionName', 63],
    ['addStream2_2', 'tracefileSizeBytes', 4360],
    ['addStream2_2', 'tracefileCount', 4368],
    ['addStream2_11', 'traceChunkId', 24],
    ['sendIndex2_8', 'packetSizeBits', 16],
    ['sendIndex2_8', 'timestampEndCycles', 40],
    ['sendIndex2_8', 'streamClassId', 56],
    ['sendIndex2_8', 'packetSeqNum', 72],
    ['closeTraceChunk', 'command', 16],
  ];
  for (const [layout, field, offset] of offsets)
    t.is(layouts.get(layout)?.offsetOf(field), offset, `${layout}.${field}`);
});

testLayouts('relay', layouts);

test('relay requests: random conversations can be dumped', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.nat({ max: 30 }),
      fc.nat({ max: 20 }),
      (array, code, minor) => {
        const bytes = Buffer.from(array);
        if (bytes.length >= 20) bytes.writeUInt32BE(code, 16);
        t.notThrows(() => dumpRequest(bytes, minor));
      },
    ),
  );
  t.pass();
});

test('relay ROTATE_STREAMS: the form shows in the size; a count that is not exactly there is refused', (t) => {
  const streams = '0000000000000001 0000000000000005';
  const forms: [string, string][] = [
    ['rotateStreamsAligned8', `00000001 01 dddddddddddddd 0000000000000007 ${streams}`],
    ['rotateStreamsAligned4', `00000001 01 dddddd 0000000000000007 ${streams}`],
    ['rotateStreamsPacked', `00000001 01 0000000000000007 ${streams}`],
  ];
  for (const [name, text] of forms) {
    const payload = hex(text);
    const layout = requestLayout('rotateStreams', 11, payload.length);
    t.is(layout?.name, name);
    t.deepEqual(layout?.decode(payload), {
      newChunkId: 7n,
      streams: [{ streamId: 1n, rotateAtSeqNum: 5n }],
    });
    for (const [count, code] of [
      [0, 'MR_ERR_WIRE_LONG'],
      [2, 'MR_ERR_WIRE_SHORT'],
      [65_537, 'MR_ERR_WIRE_LONG'],
      [0xffffffff, 'MR_ERR_WIRE_LONG'],
    ] as const) {
      payload.writeUInt32BE(count, 0);
      t.is(
        codeOf(() => layout?.decode(payload)),
        code,
        `${name} with ${count} streams`,
      );
    }
  }
  for (const size of [0, 12, 14, 15, 17, 19, 21, 37])
    t.is(requestLayout('rotateStreams', 11, size), undefined);
  for (const size of [13, 16, 20]) t.is(requestLayout('rotateStreams', 11, size)?.minSizeBytes, size);
});
