// A whole session of nbdinfo --map (libnbd 1.14.2) and a hello of flexnbd 0.5.0, as they were seen on the wire.
// Source: nbd-migration, A.1 and B.4.
import test from 'ava';
import type { Struct } from '../../../lib/schema/index.ts';
import * as nbd from '../../../lib/wire/nbd/index.ts';
import { hex } from '../../helpers/hex.ts';

/** Both ways: these bytes are this value, and this value is these bytes. */
const says = test.macro({
  title: (title = '') => `nbd capture: ${title}`,
  exec(t, layout: Struct<object>, text: string, value: object) {
    const bytes = hex(text);
    t.deepEqual(layout.decode(bytes), value);
    t.deepEqual(layout.encode(value), bytes);
  },
});

const { optionReplies, optionRows } = nbd;
const done = nbd.chunkFlags.done;
const allocation = 'base:allocation';
const allocationHex = Buffer.from(allocation).toString('hex');

test(
  'flexnbd hello of 1 MiB',
  says,
  nbd.oldstyleHello,
  `4e42444d41474943 0000420281861253 0000000000100000 0000000d ${'00'.repeat(124)}`,
  { sizeBytes: 1048576n, handshakeFlags: 0, transmissionFlags: 0x0d },
);
test('newstyle greeting', says, nbd.newstyleGreeting, '4e42444d41474943 49484156454f5054 0003', {
  handshakeFlags: 3,
});
test('client flags', says, nbd.clientGreeting, '00000003', { clientFlags: 3 });
test('STRUCTURED_REPLY', says, nbd.optionHeader, '49484156454f5054 00000008 00000000', {
  option: optionRows.structuredReply.code,
  dataSizeBytes: 0,
});
test('ACK to it', says, nbd.optionReplyHeader, '0003e889045565a9 00000008 00000001 00000000', {
  option: optionRows.structuredReply.code,
  type: optionReplies.ack,
  dataSizeBytes: 0,
});
test('SET_META_CONTEXT', says, nbd.metaContextRequest, `00000000 00000001 0000000f ${allocationHex}`, {
  exportName: '',
  queries: [{ query: allocation }],
});
test('META_CONTEXT reply', says, nbd.optionReplyHeader, '0003e889045565a9 0000000a 00000004 00000013', {
  option: optionRows.setMetaContext.code,
  type: optionReplies.metaContext,
  dataSizeBytes: 19,
});
test('its data', says, nbd.metaContextReply, `00000007 ${allocationHex}`, {
  contextId: 7,
  name: Buffer.from(allocation),
});
test('GO', says, nbd.exportRequest, '00000000 0001 0003', {
  name: '',
  infos: [{ type: nbd.infoTypes.blockSize }],
});
test('INFO export', says, nbd.infoExport, '0000 0000000004000000 0ded', {
  sizeBytes: 67_108_864n,
  transmissionFlags: 0x0ded,
});
test('INFO block size', says, nbd.infoBlockSize, '0003 00000001 00001000 02000000', {
  minimumBytes: 1,
  preferredBytes: 4096,
  maximumPayloadBytes: 33_554_432,
});
test(
  'BLOCK_STATUS',
  says,
  nbd.requestHeader,
  '25609513 0000 0007 0000000000000001 0000000000000000 04000000',
  {
    magic: nbd.requestMagic,
    flags: 0,
    type: nbd.commandRows.blockStatus.code,
    cookie: 1n,
    offset: 0n,
    length: 67_108_864,
  },
);
test('its chunk', says, nbd.chunkHeader, '668e33ef 0001 0005 0000000000000001 0000000c', {
  flags: done,
  type: nbd.chunkTypes.blockStatus,
  cookie: 1n,
  payloadSizeBytes: 12,
});
test('its context', says, nbd.blockStatus, '00000007', { contextId: 7 });
test('its extent', says, nbd.blockExtent, '04000000 00000000', { length: 67_108_864, status: 0 });
test('DISC', says, nbd.requestHeader, '25609513 0000 0002 0000000000000002 0000000000000000 00000000', {
  magic: nbd.requestMagic,
  flags: 0,
  type: nbd.commandRows.disconnect.code,
  cookie: 2n,
  offset: 0n,
  length: 0,
});

test('nbd: the reserved magics are sent by no layout', (t) => {
  const reserved = [0x12560953, 0x96744668, 0x25609514];
  for (const magic of [nbd.requestMagic, nbd.simpleReplyMagic, nbd.chunkMagic, nbd.extendedRequestMagic])
    t.false(reserved.includes(magic));
  t.is(nbd.nbdErrorName(28), 'ENOSPC');
  t.is(nbd.nbdErrorName(3), 'error 3');
});
