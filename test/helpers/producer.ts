/**
 * A scripted LTTng producer: one pair of connections for one session. Its requests are written by hand
 * (`requests.ts`); replies are read at their exact length and held against what relay-protocol promises.
 */
import assert from 'node:assert';
import { u32 } from './bytes.ts';
import { type Address, Peer } from './peer.ts';
import * as requests from './requests.ts';

const { indexFacts, usualSession } = requests;

/** Where a relay listens. */
export interface Ports {
  control: Address;
  data: Address;
}

export interface ProducerOptions extends Partial<requests.SessionFacts> {
  /** Announced minor: layouts follow it. Default 15. */
  minor?: number;
  /** Chunk to open after CREATE_SESSION; default 0 from minor 11 on. */
  chunk?: bigint | undefined;
  /** Which loopback address to come from. */
  localAddress?: string;
}

/** Where user-space streams with buffers of each user go. */
export const ustPath = 'ust/uid/0/64-bit';

/** See the file's head. */
export class Producer {
  readonly minor: number;
  readonly facts: requests.SessionFacts;
  readonly control: Peer;
  readonly data: Peer;
  /** The relay's id of the session; 0 before CREATE_SESSION. */
  sessionId = 0n;
  /** As the relay told it: relative to its output directory. */
  outputPath = '';

  private constructor(control: Peer, data: Peer, minor: number, facts: requests.SessionFacts) {
    this.control = control;
    this.data = data;
    this.minor = minor;
    this.facts = facts;
  }

  /** Connects and says who it is, as sessiond and consumerd do up to `lttng start`. */
  static async open(
    t: { teardown(leave: () => Promise<void>): void },
    ports: Ports,
    options: ProducerOptions = {},
  ): Promise<Producer> {
    const { minor = 15, chunk = 0n, localAddress, ...facts } = options;
    const control = await Peer.connect(ports.control, localAddress);
    const data = await Peer.connect(ports.data, localAddress);
    const producer = new Producer(control, data, minor, { ...usualSession, ...facts });
    t.teardown(() => producer.vanish());
    assert.deepEqual(await control.ask(requests.version(minor), 8), Buffer.from('000000020000000f', 'hex'));
    await producer.createSession();
    const chunked = minor >= 11 && !('chunk' in options && options.chunk === undefined);
    if (chunked) await producer.ok(requests.createTraceChunk(chunk));
    return producer;
  }

  async createSession(): Promise<void> {
    const request = requests.createSession(this.minor, this.facts);
    const reply = await this.control.ask(request, this.minor < 11 ? 12 : 16);
    assert.equal(reply.readUInt32BE(8), 10, 'CREATE_SESSION');
    this.sessionId = reply.readBigUInt64BE(0);
    if (this.minor < 11) return;
    const path = await this.control.read(reply.readUInt32BE(12));
    assert.equal(path.at(-1), 0);
    this.outputPath = path.toString('utf8', 0, path.length - 1);
  }

  /** A request whose reply is a return code. */
  async ret(request: Buffer): Promise<number> {
    return (await this.control.ask(request, 4)).readUInt32BE(0);
  }

  async ok(request: Buffer): Promise<void> {
    assert.deepEqual(await this.control.ask(request, 4), u32(10));
  }

  /** Adds a stream; producers before 2.11 name its directory in full. */
  async addStream(channelName: string, path = this.usualPath()): Promise<bigint> {
    const reply = await this.control.ask(requests.addStream(this.minor, { channelName, path }), 12);
    assert.equal(reply.readUInt32BE(8), 10, 'ADD_STREAM');
    return reply.readBigUInt64BE(0);
  }

  /** Where its streams go. */
  usualPath(): string {
    const { hostname, sessionName } = this.facts;
    return this.minor >= 11 ? ustPath : `/${hostname}/${sessionName}-${requests.creationDate}//${ustPath}`;
  }

  metadata(stream: bigint, content: Buffer | string, paddingSizeBytes = 0): void {
    this.control.write(requests.sendMetadata(stream, Buffer.from(content), paddingSizeBytes));
  }

  frame(stream: bigint, netSeqNum: bigint, content: Buffer, paddingSizeBytes = 0): void {
    this.data.write(requests.dataFrame(stream, netSeqNum, content, paddingSizeBytes));
  }

  /** SEND_INDEX with the usual facts of a packet of `packetBytes`. */
  async index(stream: bigint, netSeqNum: bigint, packetBytes: number): Promise<void> {
    await this.ok(requests.sendIndex(this.minor, stream, netSeqNum, indexFacts(netSeqNum, packetBytes)));
  }

  /** Data, then index, as consumerds send them. */
  async packet(stream: bigint, netSeqNum: bigint, content: Buffer, paddingSizeBytes = 0): Promise<void> {
    this.frame(stream, netSeqNum, content, paddingSizeBytes);
    await this.index(stream, netSeqNum, content.length + paddingSizeBytes);
  }

  /** The answer of DATA_PENDING: 1 while packets up to `last` are missing. */
  async pending(stream: bigint, last: bigint): Promise<number> {
    return this.ret(requests.dataPending(stream, last));
  }

  /** Asks as `lttng stop` does, until nothing of the stream is pending. */
  async stored(stream: bigint, last: bigint): Promise<void> {
    for (let asked = 0; asked < 20_000; asked += 1) {
      const answer = await this.pending(stream, last);
      if (answer === 0) return;
      assert.equal(answer, 1, 'DATA_PENDING');
    }
    assert.fail(`packet ${last} of stream ${stream} stays pending`);
  }

  /** What `lttng destroy` sends of each stream; then both connections end, control first. */
  async finish(streams: ReadonlyArray<readonly [stream: bigint, last: bigint]>): Promise<void> {
    for (const [stream, last] of streams) await this.ok(requests.closeStream(stream, last));
    await this.control.end();
    await this.data.end();
  }

  /** Gone without a word, as a killed process. */
  async vanish(): Promise<void> {
    await Promise.all([this.control.destroy(), this.data.destroy()]);
  }
}
