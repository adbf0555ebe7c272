import test from 'ava';
import { dumpReply, dumpRequest } from '../../../lib/wire/relay/index.ts';
import { hex } from '../../helpers/hex.ts';

const rotate = `00000000 00000000 00000000 00000024 00000012 00000000
  00000001 01 7f000039e2adf3 00000000 00000001 00000000 00000003 00000000 00000000`;

test('relay dump: a request, line by line', (t) => {
  t.deepEqual(dumpRequest(hex(rotate), 13).split('\n'), [
    'rotateStreams, minor 13, payload 36 bytes',
    '0000  00000000 00000000                     circuitId = 0  ignored, 0 when sent',
    '0008  00000000 00000024                     dataSizeBytes = 36  bytes',
    '0010  00000012                              command = 18  command code',
    '0014  00000000                              commandVersion = 0  ignored, 0 when sent',
    '0000  00000001                              streamCount = 1  streams',
    '0004  017f0000 39e2adf3 00000000 00000001   newChunkId = 1  chunk id',
    '      streams[0]',
    '0014  00000000 00000003                     streamId = 3  relay handle',
    '001c  00000000 00000000                     rotateAtSeqNum = 0  packets produced',
  ]);
});

test('relay dump: a truncated request says what is missing', (t) => {
  t.regex(dumpRequest(hex(rotate).subarray(0, 10), 13), /dataSizeBytes: 6 of 8 bytes missing$/);
  t.regex(dumpRequest(hex(rotate).subarray(0, 44), 13), /streams: 1 of 1 missing$/);
});

test('relay dump: an unknown command shows its header and counts the rest', (t) => {
  const lines = dumpRequest(hex('00000000 00000000 00000000 00000002 00000017 00000000 ffff'), 13).split(
    '\n',
  );
  t.is(lines[0], 'command 23, minor 13, payload 2 bytes');
  t.is(lines.at(-1), '      2 bytes more');
});

test('relay dump: a reply, line by line', (t) => {
  t.deepEqual(dumpReply('createSession', 13, hex('0000000000000000 00000019 00000000')).split('\n'), [
    'reply to createSession',
    '0000  00000000 00000000                     sessionId = 0  relay session id',
    '0008  00000019                              ret = 25  return code',
    '000c  00000000                              outputPathLength = 0  bytes with NUL',
    '0010                                        outputPath absent  text',
  ]);
});
