// Bytes of lttng-tools 2.13.9 on both sides, taken from the annotated captures of the relay protocol reference. Where that
// shows a request alone, another reply to the same command stands beside it; what it elides is filled in.
import test from 'ava';
import {
  type CommandName,
  dataHeader,
  dumpReply,
  dumpRequest,
  encodeReply,
  encodeRequest,
  none,
  type ReplyOf,
  type RequestOf,
  relayCommands,
  replyLayout,
  requestHeader,
  requestLayout,
} from '../../../lib/wire/relay/index.ts';
import { hex } from '../../helpers/hex.ts';

const minor = 13;

interface Exchange<C extends CommandName> {
  what: string;
  command: C;
  request: string;
  value: RequestOf<C>;
  /** Bytes of metadata text behind the declared head. */
  textBytes?: number;
  /** The request as we send it, where the producer's has uninitialised memory in its padding. */
  clean?: string;
  reply?: string;
  replyValue?: ReplyOf<C>;
}

const ok = { reply: '0000000a', replyValue: { ret: 10 } };
const notPending = { reply: '00000000', replyValue: { ret: 0 } };

function exchange<C extends CommandName>(one: Exchange<C>): void {
  const { what, command, value, textBytes = 0 } = one;
  const request = hex(one.request);
  const payload = request.subarray(requestHeader.minSizeBytes);

  test(`relay ${what}: decodes to what the producer meant`, (t) => {
    const header = requestHeader.decode(request);
    t.is(relayCommands.get(header.command)?.name, command);
    t.is(header.dataSizeBytes, BigInt(payload.length));
    const layout = requestLayout(command, minor, payload.length);
    t.deepEqual(layout?.decode(payload), value);
    t.is(layout?.sizeOf(value), payload.length - textBytes);
  });

  test(`relay ${what}: is made byte for byte as the producer makes it`, (t) => {
    const made = encodeRequest(command, minor, value, textBytes);
    t.deepEqual(made, hex(one.clean ?? one.request).subarray(0, request.length - textBytes));
  });

  test(`relay ${what}: the dump names the command and every byte`, (t) => {
    const text = dumpRequest(request, minor);
    t.true(text.startsWith(`${command}, minor 13, payload ${payload.length} bytes\n0000  00000000 00000000`));
    t.notRegex(text, /missing/);
    t.is(text.endsWith(' bytes more'), textBytes > 0);
  });

  test(`relay ${what}: has the reply that the relay sent`, (t) => {
    const { reply, replyValue } = one;
    if (reply === undefined || replyValue === undefined) {
      t.is(replyLayout(command, minor), undefined);
      t.is(dumpReply(command, minor, Buffer.alloc(0)), `${command} has no reply`);
      return;
    }
    t.deepEqual(replyLayout(command, minor)?.decode(hex(reply)), replyValue);
    t.deepEqual(encodeReply(command, minor, replyValue), hex(reply));
    t.notRegex(dumpReply(command, minor, hex(reply)), /missing/);
  });
}

exchange({
  what: 'VERSION',
  command: 'version',
  request: '00000000 00000000 00000000 00000008 00000005 00000000 00000002 0000000d',
  value: { major: 2, minor: 13 },
  reply: '00000002 0000000d',
  replyValue: { major: 2, minor: 13 },
});

exchange({
  what: 'GET_CONFIGURATION',
  command: 'getConfiguration',
  request: '00000000 00000000 00000000 00000008 00000016 00000000  00000000 00000000',
  value: { queryFlags: 0n },
  reply: '0000000a 00000000 00000001',
  replyValue: { ret: 10, flags: 1n },
});

const createSession = (liveTimer: string, snapshot: string): string =>
  `00000000 00000000 00000000 00000042 00000002 00000000
   00000003 00000003 00000001 ${liveTimer} ${snapshot} 00
   4fd983d1 e2674e59 beb273be 5f2c6231 00000000 00000000 00000000 6b008ed7
   00 00000000 00000000 733100 766d00 00`;
const session = {
  liveTimerUs: 0,
  snapshot: false,
  nameHasCreationTime: false,
  sessiondUuid: hex('4fd983d1e2674e59beb273be5f2c6231'),
  idSessiond: 0n,
  creationTimeS: 0x6b008ed7n,
  currentChunkId: undefined,
  sessionName: 's1',
  hostname: 'vm',
  basePath: '',
};
const created = {
  reply: `00000000 00000001 0000000a 00000016
    766d2f73312d32303236313132302d31383137353900`,
  replyValue: { sessionId: 1n, ret: 10, outputPath: 'vm/s1-20261120-181759' },
};

exchange({
  what: 'CREATE_SESSION',
  command: 'createSession',
  request: createSession('00000000', '00'),
  value: session,
  ...created,
});
exchange({
  what: 'CREATE_SESSION of a live session',
  command: 'createSession',
  request: createSession('000493e0', '00'),
  value: { ...session, liveTimerUs: 300_000 },
  ...created,
});
exchange({
  what: 'CREATE_SESSION of a snapshot, failed',
  command: 'createSession',
  request: createSession('00000000', '01'),
  value: { ...session, snapshot: true },
  reply: '00000000 00000000 00000019 00000000',
  replyValue: { sessionId: 0n, ret: 25, outputPath: undefined },
});

exchange({
  what: 'CREATE_TRACE_CHUNK',
  command: 'createTraceChunk',
  request: `00000000 00000000 00000000 00000014 00000013 00000000
    00000000 00000000  00000000 6b008ed9  00000000`,
  value: { chunkId: 0n, creationTimeS: 0x6b008ed9n, overrideName: undefined },
  ...ok,
});
exchange({
  what: 'CREATE_TRACE_CHUNK of a snapshot',
  command: 'createTraceChunk',
  request: `00000000 00000000 00000000 00000031 00000013 00000000
    00000000 00000000 00000000 6b008f57 0000001d
    736e617073686f742d302d32303236313132302d3138323030372d3000`,
  value: { chunkId: 0n, creationTimeS: 0x6b008f57n, overrideName: 'snapshot-0-20261120-182007-0' },
  ...ok,
});

exchange({
  what: 'ADD_STREAM',
  command: 'addStream',
  request: `00000000 00000000 00000000 0000003c 00000001 00000000
    0000000b 00000011 00000000 00000000 00000000 00000000 00000000 00000000
    6368616e6e656c305f3000 7573742f7569642f302f36342d62697400`,
  value: {
    channelName: 'channel0_0',
    pathName: 'ust/uid/0/64-bit',
    tracefileSizeBytes: 0n,
    tracefileCount: 0n,
    traceChunkId: 0n,
  },
  reply: '00000000 00000001 0000000a',
  replyValue: { handle: 1n, ret: 10 },
});
exchange({
  what: 'ADD_STREAM of metadata',
  command: 'addStream',
  request: `00000000 00000000 00000000 0000003a 00000001 00000000
    00000009 00000011 00000000 00000000 00000000 00000000 00000000 00000000
    6d6574616461746100 7573742f7569642f302f36342d62697400`,
  value: {
    channelName: 'metadata',
    pathName: 'ust/uid/0/64-bit',
    tracefileSizeBytes: 0n,
    tracefileCount: 0n,
    traceChunkId: 0n,
  },
  reply: '00000000 00000003 0000000a',
  replyValue: { handle: 3n, ret: 10 },
});

exchange({
  what: 'STREAMS_SENT',
  command: 'streamsSent',
  request: '00000000 00000000 00000000 00000000 00000010 00000000',
  value: {},
  ...ok,
});

exchange({
  what: 'SEND_METADATA',
  command: 'sendMetadata',
  request: `00000000 00000000 00000000 00000b85 00000006 00000000 00000000 00000003 00000487
    571dd175 933705a45b5440aa9f33bf2aec4d1b3b 00000000 c85b0000 00800000 000000 01 08
    ${'00'.repeat(2900)}`,
  value: { streamId: 3n, paddingSizeBytes: 1159 },
  textBytes: 2937,
});

exchange({
  what: 'SEND_INDEX',
  command: 'sendIndex',
  request: `00000000 00000000 00000000 00000050 0000000d 00000000
    00000000 00000002 00000000 00000000 00000000 00008000 00000000 00000920
    000000b5 30e88888 000000b5 6d071dbf 00000000 00000000 00000000 00000000
    00000000 00000001 00000000 00000000`,
  value: {
    streamId: 2n,
    netSeqNum: 0n,
    packetSizeBits: 32_768n,
    contentSizeBits: 2336n,
    timestampBeginCycles: 0xb530e88888n,
    timestampEndCycles: 0xb56d071dbfn,
    eventsDiscarded: 0n,
    streamClassId: 0n,
    streamInstanceId: 1n,
    packetSeqNum: 0n,
  },
  ...ok,
});
exchange({
  what: 'SEND_INDEX as a live beacon',
  command: 'sendIndex',
  request: `00000000 00000000 00000000 00000050 0000000d 00000000
    00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000
    00000000 00000000 000000d5 bbf535b4 00000000 00000000 00000000 00000000
    00000000 00000000 00000000 00000000`,
  value: {
    streamId: 1n,
    netSeqNum: 0n,
    packetSizeBits: 0n,
    contentSizeBits: 0n,
    timestampBeginCycles: 0n,
    timestampEndCycles: 0xd5bbf535b4n,
    eventsDiscarded: 0n,
    streamClassId: 0n,
    streamInstanceId: 0n,
    packetSeqNum: 0n,
  },
  ...ok,
});

exchange({
  what: 'BEGIN_DATA_PENDING',
  command: 'beginDataPending',
  request: '00000000 00000000 00000000 00000008 0000000a 00000000  00000000 00000001',
  value: { sessionId: 1n },
  ...ok,
});
exchange({
  what: 'DATA_PENDING',
  command: 'dataPending',
  request: '00000000 00000000 00000000 00000010 00000008 00000000  00000000 00000001 00000000 00000000',
  value: { streamId: 1n, lastNetSeqNum: 0n },
  ...notPending,
});
exchange({
  what: 'QUIESCENT_CONTROL',
  command: 'quiescentControl',
  request: '00000000 00000000 00000000 00000008 00000009 00000000  00000000 00000003',
  value: { streamId: 3n },
  ...ok,
});
exchange({
  what: 'END_DATA_PENDING',
  command: 'endDataPending',
  request: '00000000 00000000 00000000 00000008 0000000b 00000000  00000000 00000001',
  value: { sessionId: 1n },
  ...notPending,
});

const rotateTwo = (isSet: string, padding: string, chunk: string, at: string): string =>
  `00000000 00000000 00000000 00000034 00000012 00000000 00000002 ${isSet} ${padding} ${chunk}
   00000000 00000001 ${at} 00000000 00000002 ${at}`;

exchange({
  what: 'ROTATE_STREAMS',
  command: 'rotateStreams',
  request: rotateTwo('01', '000000dfb2b3f3', '0000000000000001', '0000000000000001'),
  clean: rotateTwo('01', '00000000000000', '0000000000000001', '0000000000000001'),
  value: {
    newChunkId: 1n,
    streams: [
      { streamId: 1n, rotateAtSeqNum: 1n },
      { streamId: 2n, rotateAtSeqNum: 1n },
    ],
  },
  ...ok,
});
exchange({
  what: 'ROTATE_STREAMS of metadata',
  command: 'rotateStreams',
  request: `00000000 00000000 00000000 00000024 00000012 00000000
    00000001 01 7f000039e2adf3 00000000 00000001 00000000 00000003 00000000 00000000`,
  clean: `00000000 00000000 00000000 00000024 00000012 00000000
    00000001 01 00000000000000 00000000 00000001 00000000 00000003 00000000 00000000`,
  value: { newChunkId: 1n, streams: [{ streamId: 3n, rotateAtSeqNum: 0n }] },
  ...ok,
});
exchange({
  what: 'ROTATE_STREAMS to no chunk',
  command: 'rotateStreams',
  request: rotateTwo('00', '000000dfc26f14', '0000000000000000', '0000000000000002'),
  clean: rotateTwo('00', '00000000000000', '0000000000000000', '0000000000000002'),
  value: {
    newChunkId: undefined,
    streams: [
      { streamId: 1n, rotateAtSeqNum: 2n },
      { streamId: 2n, rotateAtSeqNum: 2n },
    ],
  },
  ...ok,
});

const closeChunk = (closed: string, command: string): string =>
  `00000000 00000000 00000000 00000015 00000014 00000000 00000000 00000000 00000000 ${closed} ${command}`;

exchange({
  what: 'CLOSE_TRACE_CHUNK at the first rotation',
  command: 'closeTraceChunk',
  request: closeChunk('6b008f2b', '01 00000000'),
  value: { chunkId: 0n, closeTimeS: 0x6b008f2bn, command: 0 },
  reply: '0000000a 00000016 766d2f73312d32303236313132302d31383139323000',
  replyValue: { ret: 10, path: 'vm/s1-20261120-181920' },
});
exchange({
  what: 'CLOSE_TRACE_CHUNK at clear',
  command: 'closeTraceChunk',
  request: closeChunk('6b008f3b', '01 00000002'),
  value: { chunkId: 0n, closeTimeS: 0x6b008f3bn, command: 2 },
  reply: `0000000a 0000004b
    766d2f73312d32303236313132302d3138313932302f61726368697665732f323032363131323054313831393233
    2b303030302d3230323631313230543138313932362b303030302d3100`,
  replyValue: {
    ret: 10,
    path: 'vm/s1-20261120-181920/archives/20261120T181923+0000-20261120T181926+0000-1',
  },
});
exchange({
  what: 'CLOSE_TRACE_CHUNK at destroy, refused',
  command: 'closeTraceChunk',
  request: closeChunk('6b008edc', '00 00000000'),
  value: { chunkId: 0n, closeTimeS: 0x6b008edcn, command: undefined },
  reply: '0000001a 00000000',
  replyValue: { ret: 26, path: undefined },
});

exchange({
  what: 'TRACE_CHUNK_EXISTS',
  command: 'traceChunkExists',
  request: '00000000 00000000 00000000 00000008 00000015 00000000  00000000 00000000',
  value: { chunkId: 0n },
  reply: '0000000a 00',
  replyValue: { ret: 10, exists: false },
});

exchange({
  what: 'CLOSE_STREAM of metadata',
  command: 'closeStream',
  request: '00000000 00000000 00000000 00000010 00000007 00000000 00000000 00000003 ffffffff ffffffff',
  value: { streamId: 3n, lastNetSeqNum: none },
  ...ok,
});
exchange({
  what: 'CLOSE_STREAM',
  command: 'closeStream',
  request: '00000000 00000000 00000000 00000010 00000007 00000000 00000000 00000002 00000000 00000000',
  value: { streamId: 2n, lastNetSeqNum: 0n },
  ...ok,
});

exchange({
  what: 'RESET_METADATA',
  command: 'resetMetadata',
  request: '00000000 00000000 00000000 00000010 00000011 00000000 00000000 00000003 00000000 00000001',
  value: { streamId: 3n, version: 1n },
  ...ok,
});

test('relay data header: 292 bytes of a packet of 4096', (t) => {
  const bytes = hex('00000000 00000000 00000000 00000002 00000000 00000000 00000124 00000edc');
  const value = { circuitId: 0n, streamId: 2n, netSeqNum: 0n, dataSizeBytes: 292, paddingSizeBytes: 3804 };
  t.deepEqual(dataHeader.decode(bytes), value);
  t.deepEqual(dataHeader.encode(value), bytes);
});
