/**
 * Program: a producer of a live session and viewers of it. Argument: a `WatchOrder` as JSON; prints one JSON line.
 * What one viewer finds is measured with sockets that block, so that no event loop of its own is in it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { BlockingProducer } from './blocking-producer.ts';
import { BlockingViewer } from './blocking-viewer.ts';
import { CrowdViewer } from './crowd-viewer.ts';
import { cpuSeconds, median, now, quantile } from './measure.ts';
import * as say from './messages.ts';
import { Producer } from './producer.ts';

export interface WatchOrder {
  control: number;
  data: number;
  live: number;
  /** The relay's process. */
  pid: number;
  /**
   * `stopped`: one viewer reads what is stored. `running`: one reads while a producer sends. `latency`: how soon a
   * packet can be read by a viewer that asks when the producer has its answer, `waiting`: by one that asks all the
   * time. `attach`: how soon a viewer has its first metadata. `crowd`: many read what is stored. `idle`: what a producer
   * achieves while viewers are attached that ask nothing.
   */
  what: 'stopped' | 'running' | 'latency' | 'waiting' | 'attach' | 'crowd' | 'idle' | 'produce';
  packetSizeBytes: number;
  packets: number;
  viewers: number;
}

/** Figures by name. */
export type WatchResult = Record<string, number>;

const liveTimerUs = 1_000_000;

interface Stage {
  producer: BlockingProducer;
  stream: number;
  metadata: number;
}

/** A session with one data stream and its metadata. `number`: of the session, from 0. */
function stage(order: WatchOrder, number: number, packetSizeBytes = order.packetSizeBytes): Stage {
  const producer = new BlockingProducer(order, 'watched', packetSizeBytes, number, liveTimerUs);
  const stream = producer.addStream('channel0_0');
  const metadata = producer.addStream('metadata');
  producer.ask(say.streamsSent());
  producer.sendMetadata(metadata);
  return { producer, stream, metadata };
}

/**
 * Before what is timed: a session of small packets, read several times. A relay runs for months, and viewers of it for
 * hours; one that has answered a thousand requests has not found out yet what is worth compiling.
 */
const rehearsal = { packetSizeBytes: 4096, packets: 4096, readings: 3 };

function rehearse(order: WatchOrder): void {
  const { packetSizeBytes, packets, readings } = rehearsal;
  const on = stage(order, 0, packetSizeBytes);
  send(on, 0, packets);
  for (let n = 0; n < readings; n += 1) {
    const viewer = new BlockingViewer(order.live, on.stream, 1, 1);
    for (let left = packets; left > 0; left -= 1) {
      while (!viewer.next());
      viewer.read();
    }
    viewer.close();
    pause(reattachSeconds);
  }
}

function pause(seconds: number): void {
  const until = now() + seconds;
  while (now() < until);
}

/** lttng-relayd lets nobody attach before it has noticed that the last viewer is gone. */
const reattachSeconds = 0.02;
/** A relay has stored a packet's data by then, and knows that its viewer waits. */
const settleSeconds = 0.0005;

function send({ producer, stream }: Stage, from: number, packets: number): void {
  for (let seqNum = from; seqNum < from + packets; seqNum += 1) {
    producer.sendPacket(stream, seqNum);
    producer.sendIndex();
  }
  while (producer.isPending(stream, from + packets - 1));
}

/** What is measured from now on, until `rates`. */
interface Begin {
  at: number;
  relayCpu: number;
  ownCpu: number;
}

const begin = ({ pid }: WatchOrder): Begin => ({
  at: now(),
  relayCpu: cpuSeconds(pid),
  ownCpu: cpuSeconds(process.pid),
});

function rates(order: WatchOrder, bytes: number, from: Begin): WatchResult {
  const to = begin(order);
  return {
    rate: bytes / 1e6 / (to.at - from.at),
    cpu: (to.relayCpu - from.relayCpu) / (bytes / 1e9),
    client: (to.ownCpu - from.ownCpu) / (bytes / 1e9),
  };
}

/** The first packets are not timed: see `produce.ts`. */
const warmUpShare = 1 / 8;

function readAll(order: WatchOrder, viewer: BlockingViewer): WatchResult {
  const warmUp = Math.floor(order.packets * warmUpShare);
  let from = begin(order);
  let bytes = 0;
  for (let n = 0; n < order.packets; n += 1) {
    if (n === warmUp) {
      from = begin(order);
      bytes = 0;
    }
    while (!viewer.next());
    bytes += viewer.read();
  }
  return rates(order, bytes, from);
}

function stopped(order: WatchOrder): WatchResult {
  rehearse(order);
  const on = stage(order, 1);
  send(on, 0, order.packets);
  return readAll(order, new BlockingViewer(order.live, on.stream, 2, 1));
}

/** The producer is a process of its own: it says the stream's number when it is ready, and sends when it is told to. */
async function running(order: WatchOrder): Promise<WatchResult> {
  rehearse(order);
  const argument = JSON.stringify({ ...order, what: 'produce' });
  const child = spawn(process.execPath, [process.argv[1] as string, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [ready] = (await once(child.stdout, 'data')) as [Buffer];
  const viewer = new BlockingViewer(order.live, Number(ready.toString()), 2, 2);
  child.stdin.write('go\n');
  // the loop that follows holds this process: what is to be written must be through
  await new Promise((resolve) => setTimeout(resolve, 50));
  const result = readAll(order, viewer);
  child.stdin.end();
  await once(child, 'exit');
  return result;
}

async function produce(order: WatchOrder): Promise<WatchResult> {
  const on = stage(order, 1);
  process.stdout.write(`${on.stream}\n`);
  await once(process.stdin, 'data');
  send(on, 0, order.packets);
  process.stdin.resume();
  await once(process.stdin, 'end');
  return {};
}

/** From the moment at which the index is sent until the viewer is told of the packet. */
function latency(order: WatchOrder): WatchResult {
  rehearse(order);
  const { producer, stream } = stage(order, 1);
  const viewer = new BlockingViewer(order.live, stream, 2, 1);
  const isWaiting = order.what === 'waiting';
  const warmUp = Math.floor(order.packets * warmUpShare);
  const samples: number[] = [];
  for (let seqNum = 0; seqNum < order.packets; seqNum += 1) {
    producer.sendPacket(stream, seqNum);
    if (isWaiting) viewer.ask();
    pause(settleSeconds);
    const at = now();
    if (isWaiting) producer.beginIndex();
    else {
      producer.sendIndex();
      viewer.ask();
    }
    while (!viewer.answer()) viewer.ask();
    if (seqNum >= warmUp) samples.push(now() - at);
    if (isWaiting) producer.endIndex();
    viewer.read();
  }
  const sorted = Float64Array.from(samples);
  return { p50: median(sorted) * 1e6, p99: quantile(sorted, 0.99) * 1e6 };
}

function attach(order: WatchOrder): WatchResult {
  const { metadata, stream, producer } = stage(order, 0);
  send({ metadata, stream, producer }, 0, 1);
  const samples = Float64Array.from({ length: order.viewers }, () => {
    const at = now();
    const viewer = new BlockingViewer(order.live, stream, 1, 1);
    if (viewer.metadata(metadata) === 0) throw new Error('no metadata');
    const seconds = now() - at;
    viewer.close();
    pause(reattachSeconds);
    return seconds;
  });
  return { attach: median(samples) * 1000 };
}

async function crowd(order: WatchOrder): Promise<WatchResult> {
  const on = stage(order, 0);
  send(on, 0, order.packets);
  const viewers: CrowdViewer[] = [];
  for (let n = 0; n < order.viewers; n += 1) viewers.push(await CrowdViewer.open(order.live, 1));
  const from = begin(order);
  const bytes = await Promise.all(viewers.map((viewer) => viewer.read(on.stream, order.packets)));
  return rates(
    order,
    bytes.reduce((sum, each) => sum + each, 0),
    from,
  );
}

async function idle(order: WatchOrder): Promise<WatchResult> {
  const cell = { packetSizeBytes: order.packetSizeBytes, streamCount: 1 };
  const producer = await Producer.open(order, cell, order.packets, 0, liveTimerUs);
  for (let n = 0; n < order.viewers; n += 1) await CrowdViewer.open(order.live, 2);
  const sendUpTo = producer.prepare();
  const warmUp = Math.floor(order.packets * warmUpShare);
  await sendUpTo(warmUp);
  const from = begin(order);
  await sendUpTo(order.packets);
  await producer.stored();
  return rates(order, (order.packets - warmUp) * order.packetSizeBytes, from);
}

const deeds = { stopped, running, produce, latency, waiting: latency, attach, crowd, idle };
const order = JSON.parse(process.argv[2] as string) as WatchOrder;
const result = await deeds[order.what](order);
if (order.what !== 'produce') console.log(JSON.stringify(result));
process.exit();
