import { closeSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { planRepair, repairStore } from '../../../lib/disk/verify/repair.ts';
import type { FaultCode } from '../../../lib/disk/verify/report.ts';
import { verifyStore } from '../../../lib/disk/verify/verify.ts';
import { openRangeLocks } from '../../../lib/os/range-locks.ts';
import { type Copy, relayTrace } from './copy.ts';

const locks = openRangeLocks();
const data = 'small_0';
const index = 'index/small_0.idx';

/** Packet header of LTTng on x86: magic 0, UUID 4, stream 20, instance 24, begin 32, end 40, content 48, size 56, number 64. */
const at = (packet: number, field: number): number => packet * 4096 + field;
const record = (number: number): number => 16 + number * 72;

function flip(path: string, offset: number): (copy: Copy) => void {
  return (copy) =>
    copy.edit(path, (bytes) => {
      bytes.writeUInt8((bytes[offset] as number) ^ 0x40, offset);
      return bytes;
    });
}

function cut(path: string, toBytes: number): (copy: Copy) => void {
  return (copy) => copy.edit(path, (bytes) => bytes.subarray(0, toBytes));
}

function append(path: string, added: Buffer): (copy: Copy) => void {
  return (copy) => copy.edit(path, (bytes) => Buffer.concat([bytes, added]));
}

/** What is done to a good trace, and the faults with their files and offsets that must be found. */
const damages: Record<string, [(copy: Copy) => void, [FaultCode, string, number | 'undefined'][]]> = {
  'the magic number of the second packet': [flip(data, at(1, 0)), [['packet-unreadable', data, 4096]]],
  'the magic number of the last packet': [flip(data, at(2, 1)), [['packet-unreadable', data, 8192]]],
  'a UUID': [flip(data, at(1, 10)), [['trace-uuid', data, 4096]]],
  'a stream class': [flip(data, at(1, 20)), [['stream-class', data, 4096]]],
  'a stream instance': [
    flip(data, at(1, 24)),
    [
      ['stream-class', data, 4096],
      ['index-mismatch', index, record(1)],
      ['stream-class', data, 8192],
    ],
  ],
  'a packet size made too large': [flip(data, at(1, 61)), [['packet-unreadable', data, 4096]]],
  'the size of the last packet made too large': [flip(data, at(2, 61)), [['packet-unreadable', data, 8192]]],
  'a content size beyond the packet': [
    flip(data, at(0, 53)),
    [
      ['content-size', data, 0],
      ['index-mismatch', index, record(0)],
    ],
  ],
  'a time before the packet before': [
    (copy) => copy.edit(data, (bytes) => bytes.fill(0, at(1, 32), at(1, 40))),
    [
      ['timestamp-order', data, 4096],
      ['index-mismatch', index, record(1)],
    ],
  ],
  'a packet number': [
    (copy) =>
      copy.edit(data, (bytes) => {
        bytes.writeBigUInt64LE(9n, at(0, 64));
        return bytes;
      }),
    [
      ['index-mismatch', index, record(0)],
      ['sequence-order', data, 4096],
    ],
  ],
  'the same packet twice': [
    (copy) => copy.edit(data, (bytes) => Buffer.concat([bytes, bytes.subarray(8192)])),
    [
      ['sequence-order', data, 12_288],
      ['index-short', index, 'undefined'],
    ],
  ],
  'a tail cut off': [
    cut(data, 10_000),
    [
      ['index-surplus', index, record(2)],
      ['torn-tail', data, 8192],
    ],
  ],
  'half a packet behind the last one': [
    (copy) => append(data, copy.read(data).subarray(0, 100))(copy),
    [['torn-tail', data, 12_288]],
  ],
  'a whole packet behind the index': [
    (copy) => copy.edit(index, (bytes) => bytes.subarray(0, record(2))),
    [['index-short', index, 'undefined']],
  ],
  'zeros behind the last packet': [append(data, Buffer.alloc(500)), [['packet-unreadable', data, 12_288]]],
  'half an index record': [
    (copy) => copy.edit(index, (bytes) => bytes.subarray(0, -30)),
    [
      ['index-torn', index, 'undefined'],
      ['index-short', index, 'undefined'],
    ],
  ],
  'an index of another magic number': [flip(index, 0), [['index-unreadable', index, 'undefined']]],
  'an empty index file': [cut(index, 0), [['index-unreadable', index, 'undefined']]],
  'records in another order': [
    (copy) =>
      copy.edit(index, (bytes) =>
        Buffer.concat([
          bytes.subarray(0, record(0)),
          bytes.subarray(record(1), record(2)),
          bytes.subarray(record(0), record(1)),
          bytes.subarray(record(2)),
        ]),
      ),
    [
      ['index-order', index, record(1)],
      ['index-short', index, 'undefined'],
    ],
  ],
  'a record of a packet that never came': [
    (copy) =>
      copy.edit(index, (bytes) =>
        Buffer.concat([
          bytes.subarray(0, record(1)),
          Buffer.alloc(8, 0xff),
          bytes.subarray(record(1) + 8, record(2)),
          bytes.subarray(record(1)),
        ]),
      ),
    [['index-lost', index, record(1)]],
  ],
  'a record that points between packets': [
    (copy) =>
      copy.edit(index, (bytes) => {
        bytes.writeBigUInt64BE(5000n, record(1));
        return bytes;
      }),
    [
      ['index-surplus', index, record(1)],
      ['index-short', index, 'undefined'],
    ],
  ],
  'no index file': [(copy) => copy.remove(index), [['index-missing', data, 'undefined']]],
  'no data file': [(copy) => copy.remove(data), [['index-orphan', index, 'undefined']]],
  'no metadata': [(copy) => copy.remove('metadata'), [['metadata-missing', '', 'undefined']]],
  'empty metadata': [cut('metadata', 0), [['metadata-invalid', 'metadata', 'undefined']]],
  'metadata cut short': [cut('metadata', 3000), [['metadata-invalid', 'metadata', 'undefined']]],
  'a temporary file': [
    (copy) => copy.write('index/.millrace-small_0.idx-1.tmp', Buffer.alloc(16)),
    [['leftover-file', 'index/.millrace-small_0.idx-1.tmp', 'undefined']],
  ],
};

for (const [what, [damage, expected]] of Object.entries(damages))
  test(`damage: ${what}: is found where it is`, async (t) => {
    const copy = relayTrace(t);
    damage(copy);
    const { faults, clean } = await verifyStore(copy.directory);
    const found = faults.map(({ code, path, offsetBytes }) => `${code} ${path} ${offsetBytes}`);
    t.deepEqual(new Set(found), new Set(expected.map((fault) => fault.join(' '))));
    t.is(found.length, expected.length);
    t.false(clean);
  });

test('damage: the directory of a rotation that was not finished is found', async (t) => {
  const copy = relayTrace(t);
  mkdirSync(join(copy.directory, 'session/.tmp_old_chunk/ust'), { recursive: true });
  for (const name of ['metadata', 'index', 'small_0', 'small_1', 'large_0', 'large_1'])
    renameSync(join(copy.directory, name), join(copy.directory, 'session/.tmp_old_chunk/ust', name));
  const { faults, traces } = await verifyStore(copy.directory);
  t.deepEqual(
    faults.map(({ code, path }) => [code, path]),
    [['leftover-chunk', 'session/.tmp_old_chunk']],
  );
  t.is(traces[0]?.files.length, 4);
});

test('damage: a file in a thousand pieces is one of many faults, not all of them', async (t) => {
  const copy = relayTrace(t);
  copy.edit(data, (bytes) =>
    Buffer.concat(Array.from({ length: 100 }, () => [bytes, bytes.subarray(0, 8)]).flat()),
  );
  const { faults, faultsOmitted } = await verifyStore(copy.directory);
  t.true(faults.length <= 40);
  t.true(faultsOmitted > 50);
});

test('damage: behind the lock of a living relay nothing is judged, and nothing repaired', async (t) => {
  if (locks === undefined) {
    t.pass('no byte-range locks on this system');
    return;
  }
  const copy = relayTrace(t);
  append(data, Buffer.alloc(1000, 1))(copy);
  cut(index, record(2) + 20)(copy);
  const fds = [data, index].map((path) => openSync(join(copy.directory, path), 'r+'));
  t.teardown(() => {
    for (const fd of fds) closeSync(fd);
  });
  const [dataFd, indexFd] = fds as [number, number];
  t.true(locks.tryLock(dataFd, 'exclusive', 12_288, 0));
  t.true(locks.tryLock(indexFd, 'exclusive', record(2), 0));
  const report = await verifyStore(copy.directory);
  t.deepEqual(report.faults, []);
  t.true(report.traces[0]?.growing);
  t.deepEqual(planRepair(report), []);

  locks.unlock(dataFd, 0, 0);
  locks.unlock(indexFd, 0, 0);
  const plan = planRepair(await verifyStore(copy.directory));
  t.deepEqual(
    plan.map(({ action }) => action),
    ['rebuild-index'],
  );
  // A relay that came back between the check and the repair.
  t.true(locks.tryLock(indexFd, 'exclusive', 0, 0));
  const before = copy.read(index);
  const [outcome] = await repairStore(copy.directory, plan);
  t.regex(outcome?.left ?? '', /holds a lock/);
  t.deepEqual(copy.read(index), before);
});
