import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { planRepair, type RepairStep, repairStore } from '../../../lib/disk/verify/repair.ts';
import { verifyStore } from '../../../lib/disk/verify/verify.ts';
import { fixture } from '../../helpers/traces.ts';
import { type Copy, copyOf, relayTrace } from './copy.ts';

const data = 'small_0';
const index = 'index/small_0.idx';
const babeltrace2 = spawnSync('babeltrace2', ['--version']).status === 0;

/** Repairs, and holds that a second look finds nothing. */
async function repair(t: ExecutionContext, { directory }: Copy): Promise<RepairStep[]> {
  const plan = planRepair(await verifyStore(directory));
  for (const { step, left } of await repairStore(directory, plan))
    t.is(left, undefined, JSON.stringify(step));
  const after = await verifyStore(directory);
  t.deepEqual(after.faults, []);
  t.deepEqual(planRepair(after), []);
  return plan;
}

/** Lines that babeltrace2 prints of a trace; undefined where it is not installed. */
function printed(t: ExecutionContext, directory: string): string[] | undefined {
  if (!babeltrace2) return undefined;
  const { status, stdout, stderr } = spawnSync('babeltrace2', [directory], { encoding: 'utf8' });
  t.is(status, 0, stderr);
  return stdout.trim().split('\n');
}

test('repair: indexes made anew are, byte for byte, those that lttng-relayd wrote', async (t) => {
  for (const name of ['two-channels', 'rotation', 'live', 'per-process', 'two-consumers-rotation']) {
    const copy = copyOf(t, fixture(`captures/${name}`));
    const indexes = readdirSync(copy.directory, { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.idx'),
    );
    const originals = new Map(indexes.map((path) => [path, copy.read(path)]));
    for (const path of indexes) copy.edit(path, (bytes) => bytes.subarray(0, 16));
    const plan = await repair(t, copy);
    t.is(plan.length, indexes.length);
    for (const [path, original] of originals) t.deepEqual(copy.read(path), original, `${name}: ${path}`);
  }
});

test('repair: a torn tail goes, what was whole stays, and babeltrace2 reads it', async (t) => {
  const copy = relayTrace(t);
  const all = printed(t, copy.directory);
  const whole = copy.read(data);
  const records = copy.read(index);
  copy.write(data, whole.subarray(0, 9000));
  if (babeltrace2) t.not(spawnSync('babeltrace2', [copy.directory]).status, 0, 'it refuses the torn trace');
  t.deepEqual(await repair(t, copy), [
    { action: 'cut', path: data, fromBytes: 9000, toBytes: 8192 },
    { action: 'rebuild-index', path: index, dataPath: data, sizeBytes: 8192, packets: 2 },
  ]);
  t.deepEqual(copy.read(data), whole.subarray(0, 8192));
  t.deepEqual(copy.read(index), records.subarray(0, 16 + 2 * 72));
  const left = printed(t, copy.directory);
  if (all === undefined || left === undefined) return;
  t.true(left.length > 0 && left.length < all.length);
  const events = new Set(all.map((line) => line.replace(/\(.*?\) /, '')));
  for (const line of left) t.true(events.has(line.replace(/\(.*?\) /, '')), line);
});

test('repair: records of packets that never came are dropped', async (t) => {
  const copy = relayTrace(t);
  const records = copy.read(index);
  const lost = Buffer.from(records.subarray(16, 88)).fill(0xff, 0, 8);
  copy.write(index, Buffer.concat([records.subarray(0, 88), lost, records.subarray(88)]));
  t.is((await repair(t, copy)).length, 1);
  t.deepEqual(copy.read(index), records);
});

test('repair: a missing index file is made, readable by whoever may read the data', async (t) => {
  const copy = relayTrace(t);
  const records = copy.read(index);
  copy.remove(index);
  await repair(t, copy);
  t.deepEqual(copy.read(index), records);
  t.is(statSync(join(copy.directory, index)).mode, statSync(join(copy.directory, data)).mode);
});

test('repair: temporary files go', async (t) => {
  const copy = relayTrace(t);
  const path = 'index/.millrace-x.tmp';
  copy.write(path, Buffer.alloc(16));
  t.deepEqual(await repair(t, copy), [{ action: 'remove', path }]);
  t.false(existsSync(join(copy.directory, path)));
});

test('repair: what is broken in the middle is not cut off, nor what only has a wrong size', async (t) => {
  for (const offset of [4096, 4096 + 61, 8192, 8192 + 61]) {
    const copy = relayTrace(t);
    copy.edit(data, (bytes) => {
      bytes.writeUInt8((bytes[offset] as number) ^ 0x40, offset);
      return bytes;
    });
    const broken = copy.read(data);
    await repairStore(copy.directory, planRepair(await verifyStore(copy.directory)));
    t.deepEqual(copy.read(data), broken);
  }
});

test('repair: without magic numbers, a wrong size in the middle is not taken for a torn tail', async (t) => {
  const text = `trace { major = 1; minor = 8; byte_order = le; };
    stream { packet.context := struct { integer { size = 16; } packet_size; }; };`;
  const packet = Buffer.from('4000010203040506', 'hex');
  const copy = relayTrace(t);
  for (const name of readdirSync(copy.directory)) copy.remove(name);
  copy.write('metadata', Buffer.from(text));
  const packets = Buffer.concat(Array.from({ length: 10 }, () => packet));
  packets.writeUInt16LE(0x4000, 24);
  copy.write('data', packets);
  t.deepEqual(planRepair(await verifyStore(copy.directory)), []);
  copy.write('data', Buffer.concat([packet, packet, packet.subarray(0, 5)]));
  t.deepEqual(await repair(t, copy), [{ action: 'cut', path: 'data', fromBytes: 21, toBytes: 16 }]);
});

test('repair: a file that has changed since the check is left alone', async (t) => {
  const copy = relayTrace(t);
  copy.edit(data, (bytes) => bytes.subarray(0, 9000));
  const plan = planRepair(await verifyStore(copy.directory));
  copy.edit(data, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]));
  const outcomes = await repairStore(copy.directory, plan);
  t.true(outcomes.every(({ left }) => left?.includes('no longer the file') === true));
  t.is(copy.read(data).length, 9001);
});
