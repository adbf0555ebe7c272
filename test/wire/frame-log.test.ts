import test from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import {
  decodeSegmentHeader,
  encodeRecordHeader,
  encodeSegmentHeader,
  logKinds,
  mark,
  markTagBytes,
} from '../../lib/wire/frame-log.ts';
import * as bodies from '../../lib/wire/frame-log-bodies.ts';

const fromHex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** Drawn by hand from README.md; checksums are Python's zlib.crc32. */
const header = fromHex('894d524c4f470d0a 00000001 00000002 00000003 1847f6a1c3b2d400 921879a4');
const said = { content: 'conversation', segment: 3, createdNs: 0x1847f6a1c3b2d400n } as const;

test('frame log: a segment begins with the 32 bytes that the README draws', (t) => {
  t.deepEqual(encodeSegmentHeader(said), header);
  t.deepEqual(decodeSegmentHeader(header, 'x'), said);
});

test('frame log: a record header is the 20 bytes that the README draws', (t) => {
  const body = fromHex('00000005 01 6869');
  const bytes = encodeRecordHeader(logKinds.bytes, 0x1847f6a1c3b2d401n, [body]);
  t.deepEqual(bytes, fromHex('00000007 00000021 1847f6a1c3b2d401 445bbb73'));
  const inParts = encodeRecordHeader(logKinds.bytes, 0x1847f6a1c3b2d401n, [
    body.subarray(0, 5),
    body.subarray(5),
  ]);
  t.deepEqual(inParts, bytes, 'however the body is divided');
});

test('frame log: other files, other versions and damaged headers are refused by name', (t) => {
  const codeOf = (bytes: Buffer): string | undefined =>
    t.throws(() => decodeSegmentHeader(bytes, 'x'), { instanceOf: MillraceError })?.code;
  t.is(codeOf(Buffer.from('GIF89a'.padEnd(32))), 'MR_ERR_LOG_RECORD');
  const newer = Buffer.from(header);
  newer[11] = 2;
  t.is(codeOf(newer), 'MR_ERR_LOG_VERSION');
  for (let i = 12; i < header.length; i++) {
    const damaged = Buffer.from(header);
    damaged[i] = (damaged[i] as number) ^ 1;
    t.is(codeOf(damaged), 'MR_ERR_LOG_RECORD', `byte ${i}`);
  }
});

test('frame log: the numbers of contents and kinds are the ones of version 1', (t) => {
  t.deepEqual(
    Object.entries(logKinds).flat().join(' '),
    [
      'sessionOpen 1 sessionEnd 2 streamOpen 3 streamEnd 4 published 5 metadata 6 data 7 index 8 lost 9 sync 10',
      'inactive 11 chunkOpen 12 switch 13 chunkDone 14 connectionOpen 32 bytes 33 connectionEnd 34',
      'fileOpened 48 fileCommitted 49 fileClosed 50 moveBegun 51 moveDone 52',
      'chunkMade 53 chunkDirectory 54 chunkClosed 55 chunkGone 56 mark 127',
    ].join(' '),
  );
});

test('frame log: a mark is found by its tag and knows its own place', (t) => {
  const bytes = mark.encode({ offset: 0x40000n });
  t.deepEqual(bytes, fromHex('d1f53ab708e64c92 a36c915ef20d7bb4 0000000000040000'));
  t.deepEqual(bytes.subarray(0, 16), markTagBytes);
});

test('frame log: bodies lie as declared', (t) => {
  t.deepEqual(
    bodies.connectionOpenBody.encode({ connection: 1, role: bodies.connectionRoles.data, peer: '::1' }),
    fromHex('00000001 02 0004 3a3a3100'),
  );
  t.deepEqual(
    bodies.fileOpenedBody.encode({
      file: 2,
      chunk: 3,
      role: bodies.fileRoles.data,
      path: 'a',
      indexPath: 'i',
    }),
    fromHex('00000002 00000003 01 0002 0002 6100 6900'),
  );
  t.deepEqual(
    bodies.fileOpenedBody.encode({
      file: 2,
      chunk: 3,
      role: bodies.fileRoles.metadata,
      path: 'a',
      indexPath: undefined,
    }),
    fromHex('00000002 00000003 03 0002 0000 6100'),
  );
  t.deepEqual(
    bodies.chunkMadeBody.encode({ chunk: 1, sessionPath: 's', path: '', home: 'h', name: 'nn' }),
    fromHex('00000001 0002 0001 0002 0003 7300 00 6800 6e6e00'),
  );
  t.deepEqual(bodies.chunkDirectoryBody.encode({ chunk: 1, path: 'u' }), fromHex('00000001 0002 7500'));
  t.deepEqual(bodies.moveBegunBody.encode({ chunk: 1, to: '' }), fromHex('00000001 0001 00'));
  t.deepEqual(
    bodies.chunkClosedBody.encode({ chunk: 1, action: bodies.chunkActions.delete, archive: 'a' }),
    fromHex('00000001 02 0002 6100'),
  );
});

test('frame log: a code that no table has is refused', (t) => {
  t.throws(() => bodies.nameIn(bodies.directions, 3, 'direction'), { code: 'MR_ERR_WIRE_VALUE' });
});
