import test from 'ava';
import { metadataUnits } from './metadata.ts';
import { Batch, framesPerBatch } from './packets.ts';

const packetSizeBytes = 4096;
const frameBytes = 32 + 4096 - 24;
const packet = { handle: 7, stream: 3, seqNum: 2 ** 33 + 5 };

function filled(): { frame: Buffer; index: Buffer } {
  const batch = new Batch(packetSizeBytes, 2);
  batch.put(0, { handle: 1, stream: 0, seqNum: 0 });
  batch.put(1, packet);
  return { frame: batch.frames(2).subarray(frameBytes), index: batch.indexes(2).subarray(104) };
}

test('a data frame names stream, number, and the bytes that follow and do not follow', (t) => {
  const { frame } = filled();
  t.is(frame.length, frameBytes);
  // 8.: circuit_id, stream_id, net_seq_num, data_size 4072, padding_size 24
  t.is(
    frame.toString('hex', 0, 32),
    '0000000000000000' + '0000000000000007' + '0000000200000005' + '00000fe8' + '00000018',
  );
});

test('the content is a CTF packet that carries the frame’s numbers', (t) => {
  const content = filled().frame.subarray(32);
  t.is(content.toString('hex', 0, 4), 'c11ffcc1');
  t.is(content.readUInt32LE(20), 0, 'stream class');
  t.is(content.readBigUInt64LE(24), 3n, 'stream instance');
  t.is(content.readBigUInt64LE(32), (2n ** 33n + 5n) * 1_000_000n, 'begin');
  t.is(content.readBigUInt64LE(40), (2n ** 33n + 6n) * 1_000_000n - 1n, 'end');
  t.is(content.readBigUInt64LE(48), 4072n * 8n, 'content size, bits');
  t.is(content.readBigUInt64LE(56), 4096n * 8n, 'packet size, bits');
  t.is(content.readBigUInt64LE(64), 2n ** 33n + 5n, 'packet sequence number');
  t.is(content[84], 84);
  t.is(content[4071], 4071 % 251);
});

test('an index request describes the packet that its frame carries', (t) => {
  const { index } = filled();
  t.is(index.length, 104);
  t.is(index.toString('hex', 0, 24), '0000000000000000' + '0000000000000050' + '0000000d' + '00000000');
  const fields = Array.from({ length: 10 }, (_, i) => index.readBigUInt64BE(24 + 8 * i));
  const begin = (2n ** 33n + 5n) * 1_000_000n;
  t.deepEqual(fields, [
    7n,
    2n ** 33n + 5n,
    32768n,
    32576n,
    begin,
    begin + 999_999n,
    0n,
    0n,
    3n,
    2n ** 33n + 5n,
  ]);
});

test('a batch holds about 1 MiB of frames, and at least one', (t) => {
  t.is(framesPerBatch(4096), 255);
  t.is(framesPerBatch(65_536), 15);
  t.is(framesPerBatch(8_388_608), 1);
});

test('metadata comes in packets of 4096 bytes, the last one padded by the relay', (t) => {
  const units = metadataUnits();
  t.true(units.length > 1);
  for (const { text, padding } of units) {
    t.is(text.length + padding, 4096);
    t.is(text.toString('hex', 0, 4), '571dd175');
    t.is(text.readUInt32LE(24), text.length * 8);
    t.is(text.readUInt32LE(28), 32_768);
    t.is(text.toString('hex', 35, 37), '0108');
  }
  t.deepEqual(
    units.map(({ padding }) => padding > 0),
    [...units.slice(1).map(() => false), true],
  );
});
