/**
 * Program: rotates one session again and again, as `lttng rotate` makes LTTng's consumer daemon do it, every
 * stream having stored a packet in between. Argument: a `RotateOrder` as JSON; prints one JSON line.
 *
 * No data is ever ahead of its index when a rotation begins: lttng-relayd would crash (relay-protocol, "Rotating
 * one stream").
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingProducer } from './blocking-producer.ts';
import { cpuSeconds, median, now } from './measure.ts';
import * as say from './messages.ts';

export interface RotateOrder {
  control: number;
  data: number;
  /** The relay's process, and its output directory. */
  pid: number;
  output: string;
  packetSizeBytes: number;
  streams: number;
  /** At least 2. */
  rotations: number;
  /** Rotations of another session before that, so that the relay has compiled what it needs; 0: none. */
  warmUp: number;
}

export interface RotateResult {
  /** Seconds from the first command to the close's reply, and until the chunk has its name in `archives`. */
  closed: number;
  archived: number;
  /** The same of the first rotation, which the medians leave out: it moves the trace out of the session's directory. */
  firstClosed: number;
  /** CPU of the relay for a rotation, the packets in between included, seconds. */
  cpuSeconds: number;
  /** The session's directory relative to the relay's output directory. */
  path: string;
}

const warmUpStreams = 64;

class Rotator {
  readonly producer: BlockingProducer;
  readonly #streams: number[] = [];
  readonly #metadata: number;
  readonly #archives: string;

  /** `number`: the sessiond's session id. */
  constructor(order: RotateOrder, name: string, number: number) {
    this.producer = new BlockingProducer(order, name, order.packetSizeBytes, number);
    for (let i = 0; i < order.streams; i++) this.#streams.push(this.producer.addStream(`channel0_${i}`));
    this.#metadata = this.producer.addStream('metadata');
    this.producer.ask(say.streamsSent());
    this.producer.sendMetadata(this.#metadata);
    this.#archives = join(order.output, this.producer.path, 'archives');
  }

  /** Every stream gets packet `seqNum`; returns when the relay has them all. */
  store(seqNum: number): void {
    for (const [stream, handle] of this.#streams.entries()) {
      this.producer.sendPacket(handle, seqNum, stream);
      this.producer.sendIndex();
    }
    for (const handle of this.#streams) while (this.producer.isPending(handle, seqNum));
  }

  /** Chunk `id`, which holds the packets up to number `id`, makes room for the next one. */
  rotate(id: number): { closed: number; archived: number } {
    const begin = now();
    this.producer.ask(say.createTraceChunk(id + 1));
    this.producer.ask(say.rotateStreams(id + 1, this.#streams, id + 1));
    this.producer.ask(say.rotateStreams(id + 1, [this.#metadata], 0));
    this.producer.sendMetadata(this.#metadata);
    this.producer.closeTraceChunk(id);
    const closed = now() - begin;
    // The name holds local times: the number at its end tells the chunk.
    while (!this.#isArchived(id));
    return { closed, archived: now() - begin };
  }

  /** Stores a packet in each stream, then rotates. */
  step(id: number): { closed: number; archived: number } {
    this.store(id);
    return this.rotate(id);
  }

  #isArchived(id: number): boolean {
    return existsSync(this.#archives) && readdirSync(this.#archives).some((name) => name.endsWith(`-${id}`));
  }
}

function warmUp(order: RotateOrder): void {
  const rotator = new Rotator({ ...order, streams: warmUpStreams }, 'warm', 1);
  for (let id = 0; id < order.warmUp; id++) rotator.step(id);
  rotator.producer.close();
}

function run(order: RotateOrder): RotateResult {
  if (order.warmUp > 0) warmUp(order);
  const rotator = new Rotator(order, 'rotate', 0);
  const first = rotator.step(0);
  const cpuBefore = cpuSeconds(order.pid);
  const others = Array.from({ length: order.rotations - 1 }, (_, i) => rotator.step(i + 1));
  const cpu = cpuSeconds(order.pid) - cpuBefore;
  rotator.producer.close();
  return {
    closed: median(others.map(({ closed }) => closed)),
    archived: median(others.map(({ archived }) => archived)),
    firstClosed: first.closed,
    cpuSeconds: cpu / others.length,
    path: rotator.producer.path,
  };
}

console.log(JSON.stringify(run(JSON.parse(process.argv[2] as string) as RotateOrder)));
