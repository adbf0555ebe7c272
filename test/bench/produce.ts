/**
 * Program: drives one relay through one run and prints one JSON line. Argument: a `RunOrder` as JSON. It runs in
 * a process of its own, so that it can have a core of its own.
 */
import type { Cell } from './cells.ts';
import { cpuSeconds, now, peakMemoryBytes } from './measure.ts';
import { Producer } from './producer.ts';

export interface RunOrder {
  control: number;
  data: number;
  /** The relay's process. */
  pid: number;
  cell: Pick<Cell, 'packetSizeBytes' | 'streamCount' | 'sessionCount' | 'ring'>;
  packetsPerStream: number;
}

export interface RunResult {
  /** From the first data after the warm-up to the last acknowledgement. */
  seconds: number;
  /** CPU time of the relay in these seconds. */
  cpuSeconds: number;
  peakMemoryBytes: number;
  /** Packets sent in these seconds. */
  packets: number;
  /** Bytes of these packets as stored, padding included. */
  bytes: number;
  /** Session directories relative to the relay's output directory, in the sessions' order. */
  paths: string[];
}

/**
 * The first packets of each stream are not timed: a relay runs for months, and what its run time and this
 * program's compile in their first fifty milliseconds would count as a tenth of a run.
 */
const warmUpShare = 1 / 8;

/**
 * Before that, a session of its own with many small packets: with large ones a whole run has too few for a run time to
 * find out what is worth compiling, while a relay that has been up for a minute has met them.
 */
const rehearsal = { packetSizeBytes: 4096, packets: 16_384 };

async function rehearse(order: RunOrder): Promise<void> {
  const { streamCount, sessionCount } = order.cell;
  const perStream = Math.ceil(rehearsal.packets / streamCount);
  const { packetSizeBytes } = rehearsal;
  const producer = await Producer.open(order, { packetSizeBytes, streamCount }, perStream, sessionCount);
  await producer.prepare()(perStream);
  await producer.stored();
  await producer.close();
}

async function run(order: RunOrder): Promise<RunResult> {
  await rehearse(order);
  const producers: Producer[] = [];
  for (let number = 0; number < order.cell.sessionCount; number++) {
    producers.push(await Producer.open(order, order.cell, order.packetsPerStream, number));
  }
  const sends = producers.map((producer) => producer.prepare());
  const warmUp = Math.floor(order.packetsPerStream * warmUpShare);
  await Promise.all(sends.map((send) => send(warmUp)));
  const cpuBefore = cpuSeconds(order.pid);
  const begin = now();
  await Promise.all(sends.map((send) => send(order.packetsPerStream)));
  await Promise.all(producers.map((producer) => producer.stored()));
  const seconds = now() - begin;
  const cpu = cpuSeconds(order.pid) - cpuBefore;
  const peak = peakMemoryBytes(order.pid);
  await Promise.all(producers.map((producer) => producer.close()));
  const packets = (order.packetsPerStream - warmUp) * order.cell.streamCount * order.cell.sessionCount;
  return {
    seconds,
    cpuSeconds: cpu,
    peakMemoryBytes: peak,
    packets,
    bytes: packets * order.cell.packetSizeBytes,
    paths: producers.map((producer) => producer.path),
  };
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2] as string) as RunOrder)));
