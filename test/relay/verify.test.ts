import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { planRepair, verifyStore } from '../../lib/disk/verify/index.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { Producer } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import { dataFrame, sendIndex } from '../helpers/requests.ts';
import { fixture, indexOf, tracesBelow } from '../helpers/traces.ts';

const [trace] = tracesBelow(fixture('captures/two-channels')) as [string];
const metadata = readFileSync(join(trace, 'metadata'));
const packets = (indexOf(trace, 'small_0') ?? []).map(({ offsetBytes, ...facts }) => ({
  bytes: readFileSync(join(trace, 'small_0')).subarray(offsetBytes, offsetBytes + 4096),
  facts: { ...facts, timestampBegin: facts.timestampBeginCycles, timestampEnd: facts.timestampEndCycles },
}));

test('what the relay is writing is clean at any time, and what it has written at the end', async (t) => {
  t.true(packets.length >= 3);
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('small_0');
  const textStream = await producer.addStream('metadata');
  const look = async () => {
    const report = await verifyStore(relay.outputPath);
    if (openRangeLocks() === undefined) return report;
    t.deepEqual(report.faults, []);
    t.deepEqual(planRepair(report), []);
    return report;
  };
  producer.metadata(textStream, metadata);
  for (const [number, { bytes, facts }] of packets.entries()) {
    const netSeqNum = BigInt(number);
    producer.data.write(dataFrame(stream, netSeqNum, bytes).subarray(0, 1000));
    await look();
    producer.data.write(dataFrame(stream, netSeqNum, bytes).subarray(1000));
    await look();
    await producer.ok(sendIndex(producer.minor, stream, netSeqNum, facts));
    await producer.stored(stream, netSeqNum);
    const { streams } = await look();
    t.is(streams[0]?.packets, number + 1);
  }
  await producer.finish([[stream, BigInt(packets.length - 1)]]);
  await relay.empty();
  const { clean, traces } = await verifyStore(relay.outputPath);
  t.true(clean);
  t.like(traces[0], { growing: false, files: [{ packets: packets.length, index: 'matching' }] });
});
