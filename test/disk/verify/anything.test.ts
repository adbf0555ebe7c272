import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { planRepair, repairStore } from '../../../lib/disk/verify/repair.ts';
import { verifyStore } from '../../../lib/disk/verify/verify.ts';
import { relayTrace } from './copy.ts';

const data = 'small_0';
const index = 'index/small_0.idx';

test('wherever data and index are cut, repair leaves every whole packet, and a clean trace', async (t) => {
  const copy = relayTrace(t);
  const whole = { data: copy.read(data), index: copy.read(index) };
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: whole.data.length }),
      fc.nat({ max: whole.index.length }),
      async (dataBytes, indexBytes) => {
        copy.write(data, whole.data.subarray(0, dataBytes));
        copy.write(index, whole.index.subarray(0, indexBytes));
        const outcomes = await repairStore(copy.directory, planRepair(await verifyStore(copy.directory)));
        t.true(outcomes.every(({ left }) => left === undefined));
        const packets = Math.floor(dataBytes / 4096);
        t.deepEqual(copy.read(data), whole.data.subarray(0, packets * 4096));
        t.deepEqual(copy.read(index), whole.index.subarray(0, 16 + packets * 72));
        t.true((await verifyStore(copy.directory)).clean);
      },
    ),
    { numRuns: 100 },
  );
});

test('whatever bytes are wrong, a check and a repair come to an end, and cut nothing that is whole', async (t) => {
  const copy = relayTrace(t);
  const files = ['metadata', data, index];
  const whole = new Map(files.map((path) => [path, copy.read(path)]));
  const flips = fc.array(fc.tuple(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(flips, async (list) => {
      for (const [path, bytes] of whole) copy.write(path, bytes);
      for (const [path, at, mask] of list)
        copy.edit(path, (bytes) => {
          const place = at % bytes.length;
          bytes.writeUInt8((bytes[place] as number) ^ mask, place);
          return bytes;
        });
      const { traces, faults } = await verifyStore(copy.directory);
      t.is(traces.length, 1);
      t.true(faults.length < 100);
      await repairStore(copy.directory, planRepair(await verifyStore(copy.directory)));
      const [first] = (await verifyStore(copy.directory)).traces;
      for (const { index: state } of first?.files ?? []) t.not(state, 'faulty');
      t.true(statSync(join(copy.directory, data)).size % 4096 === 0);
      t.deepEqual(
        readdirSync(join(copy.directory, 'index')).filter((name) => name.startsWith('.')),
        [],
      );
    }),
    { numRuns: 200 },
  );
});
