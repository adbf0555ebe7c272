import test from 'ava';
import {
  type CommandName,
  encodeReply,
  encodeRequest,
  encodeReturn,
  relayCommands,
  replyLayout,
  requestLayout,
} from '../../../lib/wire/relay/index.ts';
import { codeOf, hex } from '../../helpers/hex.ts';

/** The version table of the protocol reference: least payload of the three commands that changed. */
const changed: [minors: number[], createSession: number, addStream: number, sendIndex: number | undefined][] =
  [
    [[1], 0, 4360, undefined],
    [[2, 3], 0, 4376, undefined],
    [[4, 5, 6, 7], 327, 4376, 64],
    [[8, 9, 10], 327, 4376, 80],
    [[11, 12, 13, 14], 59 + 2, 32 + 2, 80],
    [[15, 16, 99], 63 + 2, 32 + 2, 80],
  ];

for (const [minors, createSession, addStream, sendIndex] of changed)
  for (const minor of minors)
    test(`relay minor ${minor}: the three commands that changed have its layouts`, (t) => {
      const size = (command: CommandName): number | undefined =>
        requestLayout(command, minor, 0)?.minSizeBytes;
      t.is(size('createSession'), createSession);
      t.is(size('addStream'), addStream);
      if (sendIndex !== undefined) t.is(size('sendIndex'), sendIndex);
      t.is(replyLayout('createSession', minor)?.minSizeBytes, minor < 11 ? 12 : 16);
    });

test('relay minor 0: a peer that did not say VERSION has the oldest layouts', (t) => {
  t.is(requestLayout('createSession', 0, 0)?.name, 'createSession');
  t.is(requestLayout('version', 0, 8)?.name, 'version');
  t.is(requestLayout('getConfiguration', 0, 8)?.name, 'getConfiguration');
});

test('relay commands: the table has every number from 1 to 22 and the private ones, with name and first minor', (t) => {
  // Copied from the reference: number, name, since (0: reserved), needs.
  const expected = `1 addStream 1 session, 2 createSession 1 nothing, 3 startData 1 nothing,
    4 updateSyncInfo 0 nothing, 5 version 1 nothing, 6 sendMetadata 1 session, 7 closeStream 1 session,
    8 dataPending 1 session, 9 quiescentControl 1 session, 10 beginDataPending 1 session,
    11 endDataPending 1 session, 12 addIndex 0 nothing, 13 sendIndex 4 session, 14 closeIndex 0 nothing,
    15 listSessions 0 nothing, 16 streamsSent 4 session, 17 resetMetadata 8 session,
    18 rotateStreams 11 chunks, 19 createTraceChunk 11 chunks, 20 closeTraceChunk 11 chunks,
    21 traceChunkExists 11 chunks, 22 getConfiguration 12 nothing,
    1297219585 udpOpen 12 session, 1297219586 udpSent 12 session,
    1297219601 lastStored 12 nothing, 1297219604 resumeSession 12 nothing, 1297219602 packetLost 12 session,
    1297219603 forwardTo 12 nothing`;
  t.deepEqual(
    [...relayCommands].map(([code, row]) => `${code} ${row.name} ${row.since ?? 0} ${row.needs}`),
    expected.split(',').map((line) => line.trim()),
  );
});

test('relay commands: metadata alone is passed on in parts and alone has no reply', (t) => {
  for (const row of relayCommands.values()) {
    t.is(row.body === 'pass', row.name === 'sendMetadata');
    t.is(row.reply.length === 0, row.name === 'sendMetadata');
    t.is(row.request.length === 0, row.since === undefined);
  }
});

test('relay replies: a return code alone is prebuilt, and any other can be made', (t) => {
  t.is(encodeReturn(10), encodeReturn(10));
  t.deepEqual(encodeReturn(152), hex('00000098'));
  t.deepEqual(encodeReturn(0xffffffff), hex('ffffffff'));
  t.is(encodeReply('streamsSent', 13, { ret: 10 }), encodeReturn(10));
  t.deepEqual(encodeReply('createSession', 4, { sessionId: 1n, ret: 10 }), hex('0000000000000001 0000000a'));
});

test('relay requests: a longer payload is accepted, a shorter one is not', (t) => {
  const payload = hex('0000000000000003 0000000000000001 ffff');
  const layout = requestLayout('resetMetadata', 13, payload.length);
  t.deepEqual(layout?.decode(payload), { streamId: 3n, version: 1n });
  t.is(
    codeOf(() => layout?.decode(payload, 0, 15)),
    'MR_ERR_WIRE_SHORT',
  );
});

test('relay requests: the 2.4 session and the 2.2 stream, from bytes laid out by hand', (t) => {
  const at = (size: number, ...parts: [number, string][]): Buffer => {
    const bytes = Buffer.alloc(size);
    for (const [offset, text] of parts) bytes.write(text, offset, 'latin1');
    return bytes;
  };
  const session = at(327, [0, 's1'], [255, 'vm']);
  session.writeUInt32BE(1_000_000, 319);
  session.writeUInt32BE(1, 323);
  const sessionValue = { sessionName: 's1', hostname: 'vm', liveTimerUs: 1_000_000, snapshot: true };
  t.deepEqual(requestLayout('createSession', 10, 327)?.decode(session), sessionValue);
  t.deepEqual(encodeRequest('createSession', 4, sessionValue).subarray(24), session);

  const stream = at(4376, [0, 'chan_0'], [264, '/vm/s1-20261120-182221//ust/uid/0/64-bit']);
  stream.writeBigUInt64BE(8192n, 4360);
  stream.writeBigUInt64BE(3n, 4368);
  const streamValue = {
    channelName: 'chan_0',
    pathName: '/vm/s1-20261120-182221//ust/uid/0/64-bit',
    tracefileSizeBytes: 8192n,
    tracefileCount: 3n,
  };
  t.deepEqual(requestLayout('addStream', 3, 4376)?.decode(stream), streamValue);
  t.deepEqual(encodeRequest('addStream', 2, streamValue).subarray(24), stream);
});

test('relay requests: a path longer than relays take is refused though the field has room', (t) => {
  const stream = Buffer.alloc(4376);
  stream.write('chan_0', 0, 'latin1');
  stream.write('p'.repeat(254), 264, 'latin1');
  const layout = requestLayout('addStream', 10, 4376);
  t.is(layout?.decode(stream).pathName.length, 254);
  stream.write('p', 264 + 254, 'latin1');
  t.is(
    codeOf(() => layout?.decode(stream)),
    'MR_ERR_WIRE_LONG',
  );
});
