/**
 * Program: a producer that works as LTTng's consumer daemon does, one packet after the other: data frame, index,
 * wait for the reply. Argument: a `LockstepOrder` as JSON; prints one JSON line. Its sockets block, so that what
 * it measures is the relay's answer and not an event loop of its own.
 */
import { BlockingProducer } from './blocking-producer.ts';
import { cpuSeconds, median, now, peakMemoryBytes, quantile } from './measure.ts';
import * as say from './messages.ts';

export interface LockstepOrder {
  control: number;
  data: number;
  pid: number;
  packets: number;
  questions: number;
  streams: number;
}

export interface LockstepResult {
  /** Round trips of SEND_INDEX right after its data frame, microseconds. */
  indexP50: number;
  indexP99: number;
  /** Packets a second, data frames included. */
  packetsPerSecond: number;
  /** CPU of the relay for a packet, microseconds. */
  packetCpu: number;
  /** Round trips of QUIESCENT_CONTROL, microseconds. */
  controlP50: number;
  controlP99: number;
  /** Median of one ADD_STREAM, microseconds. */
  addStream: number;
  /** Peak memory once every one of the many streams has stored a packet. */
  manyStreamsBytes: number;
}

const packetSizeBytes = 4096;

/** The relay has compiled what it needs by then; first packets are the start's business, not the steady state's. */
const warmUp = 10_000;

/** Sends one packet and its index; returns the seconds from the index to its reply. */
function packet(producer: BlockingProducer, handle: number, seqNum: number): number {
  producer.sendPacket(handle, seqNum);
  return timed(() => producer.sendIndex());
}

function timed(action: () => void): number {
  const begin = now();
  action();
  return now() - begin;
}

function steadyState(order: LockstepOrder): Omit<LockstepResult, 'addStream' | 'manyStreamsBytes'> {
  const producer = new BlockingProducer(order, 'lockstep0', packetSizeBytes, 0);
  const handle = producer.addStream('channel0_0');
  const metadata = producer.addStream('metadata');
  producer.ask(say.streamsSent());
  for (let seqNum = 0; seqNum < warmUp; seqNum++) packet(producer, handle, seqNum);
  const cpuBefore = cpuSeconds(order.pid);
  const begin = now();
  const index = Float64Array.from({ length: order.packets }, (_, i) => packet(producer, handle, warmUp + i));
  const seconds = now() - begin;
  const cpu = cpuSeconds(order.pid) - cpuBefore;
  const question = say.numbers(say.command.quiescentControl, BigInt(metadata));
  const control = Float64Array.from({ length: order.questions }, () => timed(() => producer.ask(question)));
  producer.close();
  return {
    indexP50: median(index) * 1e6,
    indexP99: quantile(index, 0.99) * 1e6,
    packetsPerSecond: order.packets / seconds,
    packetCpu: (cpu / order.packets) * 1e6,
    controlP50: median(control) * 1e6,
    controlP99: quantile(control, 0.99) * 1e6,
  };
}

function manyStreams(order: LockstepOrder): Pick<LockstepResult, 'addStream' | 'manyStreamsBytes'> {
  const producer = new BlockingProducer(order, 'lockstep1', packetSizeBytes, 1);
  const handles: number[] = [];
  const added = Float64Array.from({ length: order.streams }, (_, i) =>
    timed(() => handles.push(producer.addStream(`channel0_${i}`))),
  );
  producer.ask(say.streamsSent());
  for (const handle of handles) packet(producer, handle, 0);
  const manyStreamsBytes = peakMemoryBytes(order.pid);
  producer.close();
  return { addStream: median(added) * 1e6, manyStreamsBytes };
}

const order = JSON.parse(process.argv[2] as string) as LockstepOrder;
const result: LockstepResult = { ...steadyState(order), ...manyStreams(order) };
console.log(JSON.stringify(result));
