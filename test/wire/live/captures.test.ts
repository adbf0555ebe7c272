// Bytes between babeltrace2 2.0.4 and lttng-relayd 2.13.9, taken from the annotated capture of the live protocol
// reference; what that elides is filled in. What they never send is laid out by hand.
import test from 'ava';
import {
  dumpViewerReply,
  dumpViewerRequest,
  encodeViewerRequest,
  millrace,
  type ViewerCommandName,
  type ViewerReplyOf,
  type ViewerRequestOf,
  viewerCommands,
  viewerHeader,
  viewerReplyBytes,
  viewerReplyLayout,
  viewerRequestLayout,
} from '../../../lib/wire/live/index.ts';
import { field, join, u32, u64 } from '../../helpers/bytes.ts';
import { codeOf, hex } from '../../helpers/hex.ts';

interface Exchange<C extends ViewerCommandName> {
  what: string;
  command: C;
  minor?: number;
  request: string;
  value: ViewerRequestOf<C>;
  reply: string | Buffer;
  replyValue: ViewerReplyOf<C>;
  /** Bytes of data behind the head of the reply. */
  dataBytes?: number;
}

function exchange<C extends ViewerCommandName>(one: Exchange<C>): void {
  const { what, command, value, replyValue, minor = 4, dataBytes = 0 } = one;
  const request = hex(one.request);
  const payload = request.subarray(viewerHeader.minSizeBytes);
  const reply = typeof one.reply === 'string' ? hex(one.reply) : one.reply;

  test(`live ${what}: decodes to what the viewer meant`, (t) => {
    const header = viewerHeader.decode(request);
    t.is(viewerCommands.get(header.command)?.name, command);
    t.is(header.dataSizeBytes, BigInt(payload.length));
    t.deepEqual(viewerRequestLayout(command, minor).decode(payload), value);
  });

  test(`live ${what}: is made byte for byte as the viewer makes it`, (t) => {
    t.deepEqual(encodeViewerRequest(command, minor, value), request);
  });

  test(`live ${what}: the dump names the command and every byte`, (t) => {
    t.true(
      dumpViewerRequest(request).startsWith(`${command}, payload ${payload.length} bytes\n0000  00000000 `),
    );
    t.notRegex(dumpViewerRequest(request), /missing|more$/);
    const answer = dumpViewerReply(command, minor, reply);
    t.true(answer.startsWith(`reply to ${command}\n0000  `));
    t.notRegex(answer, /missing/);
    t.is(answer.endsWith(` ${dataBytes} bytes of data`), dataBytes > 0);
  });

  test(`live ${what}: has the reply that the relay sent, and its end is known`, (t) => {
    const head = reply.subarray(0, reply.length - dataBytes);
    t.deepEqual(viewerReplyLayout(command, minor).decode(head), replyValue);
    t.deepEqual(viewerReplyLayout(command, minor).encode(replyValue), head);
    t.is(viewerReplyBytes(command, minor, reply, 0, reply.length), head.length);
    t.true(viewerReplyBytes(command, minor, head, 0, head.length - 1) > head.length - 1);
  });
}

exchange({
  what: 'CONNECT',
  command: 'connect',
  request: '00000000 00000014 00000001 00000000  ffffffff ffffffff 00000002 00000004 00000001',
  value: { viewerSessionId: 2n ** 64n - 1n, major: 2, minor: 4, connectionType: 1 },
  reply: '00000000 00000004 00000002 0000000d 00000000',
  replyValue: { viewerSessionId: 4n, major: 2, minor: 13, connectionType: 0 },
});

exchange({
  what: 'CREATE_SESSION',
  command: 'createSession',
  request: '00000000 00000000 00000008 00000000',
  value: {},
  reply: '00000001',
  replyValue: { status: 1 },
});

const listed = {
  sessionId: 1n,
  liveTimerUs: 1_000_000,
  clients: 0,
  streams: 0,
  hostname: 'vm',
  sessionName: 'demo',
};
const listSessions = '00000000 00000000 00000002 00000000';

exchange({
  what: 'LIST_SESSIONS',
  command: 'listSessions',
  request: listSessions,
  value: {},
  reply: join(
    hex('00000001 00000000 00000001 000f4240 00000000 00000000'),
    field('vm', 64),
    field('demo', 255),
  ),
  replyValue: { sessions: [listed] },
});
exchange({
  what: 'LIST_SESSIONS of minor 15',
  command: 'listSessions',
  minor: 15,
  request: listSessions,
  value: {},
  reply: `00000002  00000000 00000001 000f4240 00000000 00000000 00000002 00000004 00000000 766d 64656d6f
    00000000 00000002 00000000 00000001 00000003 00000002 00000001 00000001 766d 78`,
  replyValue: {
    sessions: [
      { ...listed, traceFormat: 0 },
      {
        sessionId: 2n,
        liveTimerUs: 0,
        clients: 1,
        streams: 3,
        traceFormat: 1,
        hostname: 'vm',
        sessionName: 'x',
      },
    ],
  },
});

exchange({
  what: 'ATTACH_SESSION, no stream yet',
  command: 'attachSession',
  request: '00000000 00000014 00000003 00000000  00000000 00000001 00000000 00000000 00000002',
  value: { sessionId: 1n, offset: 0n, seek: 2 },
  reply: '00000001 00000000',
  replyValue: { status: 1, streams: [] },
});

const stream = (id: number, channelName: string, metadataFlag: number): Buffer =>
  join(u64(id), u64(1), u32(metadataFlag), field('ust/uid/0/64-bit', 4096), field(channelName, 255));
const streamValue = (id: number, channelName: string, metadataFlag: number) => ({
  streamId: BigInt(id),
  ctfTraceId: 1n,
  metadataFlag,
  pathName: 'ust/uid/0/64-bit',
  channelName,
});

exchange({
  what: 'GET_NEW_STREAMS',
  command: 'getNewStreams',
  request: '00000000 00000008 00000007 00000000  00000000 00000001',
  value: { sessionId: 1n },
  reply: join(hex('00000001 00000003'), stream(1, 'ch_0', 0), stream(2, 'ch_1', 0), stream(3, 'metadata', 1)),
  replyValue: {
    status: 1,
    streams: [streamValue(1, 'ch_0', 0), streamValue(2, 'ch_1', 0), streamValue(3, 'metadata', 1)],
  },
});

const getMetadata = '00000000 00000008 00000006 00000000  00000000 00000003';
exchange({
  what: 'GET_METADATA, nothing new',
  command: 'getMetadata',
  request: getMetadata,
  value: { streamId: 3n },
  reply: '00000000 00000000 00000002',
  replyValue: { lengthBytes: 0n, status: 2 },
});
exchange({
  what: 'GET_METADATA',
  command: 'getMetadata',
  request: getMetadata,
  value: { streamId: 3n },
  reply: join(hex('00000000 00001000 00000001'), hex('571dd175'), Buffer.alloc(4092)),
  replyValue: { lengthBytes: 4096n, status: 1 },
  dataBytes: 4096,
});

const getNextIndex = '00000000 00000008 00000004 00000000  00000000 00000001';
const noIndex = {
  offsetBytes: 0n,
  packetSizeBits: 0n,
  contentSizeBits: 0n,
  timestampBeginCycles: 0n,
  timestampEndCycles: 0n,
  eventsDiscarded: 0n,
  streamClassId: 0n,
  status: 2,
  flags: 0,
};
exchange({
  what: 'GET_NEXT_INDEX',
  command: 'getNextIndex',
  request: getNextIndex,
  value: { streamId: 1n },
  reply: `0000000000000000 0000000000008000 0000000000000660 000000c60c8362df 000000c648245a1a
    0000000000000000 0000000000000000 00000001 00000002`,
  replyValue: {
    ...noIndex,
    packetSizeBits: 32768n,
    contentSizeBits: 1632n,
    timestampBeginCycles: 850613461727n,
    timestampEndCycles: 851613866522n,
    status: 1,
    flags: 2,
  },
});
exchange({
  what: 'GET_NEXT_INDEX, retry',
  command: 'getNextIndex',
  request: getNextIndex,
  value: { streamId: 1n },
  reply: join(Buffer.alloc(56), hex('00000002 00000000')),
  replyValue: noIndex,
});
exchange({
  what: 'GET_NEXT_INDEX, inactive',
  command: 'getNextIndex',
  request: getNextIndex,
  value: { streamId: 1n },
  reply: join(Buffer.alloc(32), hex('000000c683bb4682'), Buffer.alloc(16), hex('00000005 00000000')),
  replyValue: { ...noIndex, timestampEndCycles: 852613613186n, status: 5 },
});

exchange({
  what: 'GET_PACKET',
  command: 'getPacket',
  request: '00000000 00000014 00000005 00000000  00000000 00000001 00000000 00000000 00001000',
  value: { streamId: 1n, offsetBytes: 0n, lengthBytes: 4096 },
  reply: join(hex('00000001 00001000 00000000'), hex('c11ffcc1'), Buffer.alloc(4092)),
  replyValue: { status: 1, lengthBytes: 4096, flags: 0 },
  dataBytes: 4096,
});

exchange({
  what: 'DETACH_SESSION',
  command: 'detachSession',
  request: '00000000 00000008 00000009 00000000  00000000 00000001',
  value: { sessionId: 1n },
  reply: '00000001',
  replyValue: { status: 1 },
});

exchange({
  what: 'private GET_NEXT_RECORD',
  command: 'getNextRecord',
  request: '00000000 00000008 6d690001 00000000  00000000 00000001',
  value: { streamId: 1n },
  reply: join(Buffer.alloc(56), hex('00000002 00000000'), u64(1), u64(2), u64(3), u64(4)),
  replyValue: { ...noIndex, streamInstanceId: 1n, packetSeqNum: 2n, position: 3n, lostPackets: 4n },
});
exchange({
  what: 'private SEEK_STREAM',
  command: 'seekStream',
  request: '00000000 00000010 6d690002 00000000  00000000 00000001 00000000 00000007',
  value: { streamId: 1n, position: 7n },
  reply: '00000003 00000000 0000000c',
  replyValue: { status: 3, position: 12n },
});

test('live: a millrace viewer says its name where others send all ones', (t) => {
  const value = { viewerSessionId: millrace.viewerSessionId, major: 2, minor: 15, connectionType: 1 };
  const bytes = encodeViewerRequest('connect', 0, value);
  t.is(bytes.toString('latin1', 16, 24), 'millrace');
  t.is(u32(millrace.connectionType).toString('latin1'), 'mill');
});

test('live: strings end at their first NUL, whatever follows', (t) => {
  const dirty = join(
    hex('00000001 00000000 00000001 000f4240 00000000 00000000'),
    field('vm', 64),
    field('demo', 255),
  );
  dirty.fill(0xee, 24 + 3, 24 + 64);
  t.deepEqual(viewerReplyLayout('listSessions', 4).decode(dirty), { sessions: [listed] });
  dirty.fill(0xee, 24, 24 + 64);
  t.is(
    codeOf(() => viewerReplyLayout('listSessions', 4).decode(dirty)),
    'MR_ERR_WIRE_STRING',
  );
});

for (const minor of [4, 8, 14, 15, 16])
  test(`live minor ${minor}: the list alone has two layouts`, (t) => {
    const layout = viewerReplyLayout('listSessions', minor);
    t.is(layout.name, minor < 15 ? 'listSessionsReply' : 'listSessionsReply2_15');
    for (const { name, request, reply } of viewerCommands.values()) {
      t.is(request.length, 1);
      t.is(reply.length, name === 'listSessions' ? 2 : 1);
    }
  });
