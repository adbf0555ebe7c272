import test from 'ava';
import {
  indexFileHeader,
  indexFormatAt,
  indexFormatOf,
  indexRecord1_0,
  indexRecord1_1,
} from '../../lib/ctf/index-file.ts';
import { codeOf, hex } from '../helpers/hex.ts';

// Written by lttng-relayd 2.13.9 for a UST packet of 4096 bytes.
const file = hex(`c1f1dcc1 00000001 00000001 00000048
  00000000 00000000 00000000 00008000 00000000 00000920
  000000b5 30e88888 000000b5 6d071dbf 00000000 00000000
  00000000 00000000 00000000 00000001 00000000 00000000`);
const record = {
  offsetBytes: 0n,
  packetSizeBits: 32_768n,
  contentSizeBits: 2336n,
  timestampBeginCycles: 0xb530e88888n,
  timestampEndCycles: 0xb56d071dbfn,
  eventsDiscarded: 0n,
  streamClassId: 0n,
};

test('index file 1.1: header and record of a real relay decode and encode', (t) => {
  t.deepEqual(indexFileHeader.decode(file), { major: 1, minor: 1, recordSizeBytes: 72 });
  const value = { ...record, streamInstanceId: 1n, packetSeqNum: 0n };
  t.deepEqual(indexRecord1_1.decode(file, 16), value);
  t.deepEqual(Buffer.concat([indexFormatAt(8).header, indexRecord1_1.encode(value)]), file);
  t.is(indexRecord1_1.fixedSizeBytes, 72);
});

test('index file 1.0: is written below protocol minor 8, with seven fields', (t) => {
  t.deepEqual(indexFormatAt(7).header, hex('c1f1dcc1 00000001 00000000 00000038'));
  t.deepEqual(indexFormatAt(4).record.encode(record), file.subarray(16, 16 + 56));
  t.deepEqual(indexRecord1_0.decode(file, 16), record);
});

test('index file: the format to read with follows the header, later minors read as 1.1', (t) => {
  t.is(indexFormatOf({ major: 1, minor: 0, recordSizeBytes: 56 }), indexFormatAt(4));
  t.is(indexFormatOf({ major: 1, minor: 2, recordSizeBytes: 80 }), indexFormatAt(15));
  t.is(indexFormatOf({ major: 2, minor: 0, recordSizeBytes: 56 }), undefined);
});

test('index file: a wrong magic and a short header are refused', (t) => {
  t.is(
    codeOf(() => indexFileHeader.decode(Buffer.alloc(16))),
    'MR_ERR_WIRE_VALUE',
  );
  t.is(
    codeOf(() => indexFileHeader.decode(file, 0, 15)),
    'MR_ERR_WIRE_SHORT',
  );
});
