/** A producer that does whatever a seed says: packets of several streams, rotations, clears, metadata, streams that come and go. */
import { pattern } from '../../helpers/bytes.ts';
import { Producer, type ProducerOptions } from '../../helpers/producer.ts';
import * as r from '../../helpers/requests.ts';

interface Stream {
  name: string;
  handle: bigint;
  packets: number;
  isRing: boolean;
}

/** See the file's head. */
export class RandomSession {
  readonly #producer: Producer;
  readonly #pick: () => number;
  readonly #streams: Stream[] = [];
  #metadata = 0n;
  #text = 'metadata';
  #clears = false;
  #chunk = 0n;
  #added = 0;
  #said: string[] = [];

  private constructor(producer: Producer, pick: () => number) {
    this.#producer = producer;
    this.#pick = pick;
  }

  static async open(
    t: Parameters<typeof Producer.open>[0],
    ports: Parameters<typeof Producer.open>[1],
    pick: () => number,
    options: ProducerOptions = {},
  ): Promise<RandomSession> {
    const session = new RandomSession(await Producer.open(t, ports, options), pick);
    session.#metadata = await session.#producer.addStream('metadata');
    await session.#addStream(0n);
    // What a clear deletes says no more how far a stream was, so that a kill then could let a ring's files end elsewhere.
    session.#clears = pick() % 2 === 0;
    await session.#addStream(session.#clears ? 0n : 9000n);
    if (session.#isIndexed) await session.#producer.ok(r.streamsSent());
    // Non-live producers send metadata last.
    if (pick() % 3 > 0) session.#sendMetadata();
    return session;
  }

  /** What it did, for whoever has to find out why that went wrong. */
  get story(): string {
    return this.#said.join(', ');
  }

  get #isIndexed(): boolean {
    return this.#producer.minor >= 4;
  }

  #say(word: string): void {
    this.#said.push(word);
  }

  async step(): Promise<void> {
    const kind = this.#pick() % 40;
    const hasChunks = this.#producer.minor >= 11;
    if (kind === 0 && hasChunks) await this.#rotate(0);
    else if (kind === 1 && this.#clears && this.#producer.minor >= 12) await this.#rotate(2);
    else if (kind < 5) this.#sendMore();
    else if (kind === 5) await this.#addStream(0n);
    else if (kind === 6 && this.#streams.length > 2) await this.#endStream();
    else await this.#packet();
  }

  async #packet(): Promise<void> {
    await this.#packetOf(this.#streams[this.#pick() % this.#streams.length] as Stream);
  }

  async #packetOf(stream: Stream): Promise<void> {
    const number = BigInt(stream.packets);
    const content = pattern(500 + (this.#pick() % 4000), this.#pick());
    stream.packets += 1;
    this.#say(`${stream.name}:${number}`);
    if (!this.#isIndexed) {
      this.#producer.frame(stream.handle, number, content);
      return;
    }
    if (this.#pick() % 2 === 0) {
      await this.#producer.packet(stream.handle, number, content);
      return;
    }
    await this.#producer.index(stream.handle, number, content.length);
    this.#producer.frame(stream.handle, number, content);
  }

  async #addStream(tracefileSizeBytes: bigint): Promise<void> {
    const name = `c_${this.#added}`;
    this.#added += 1;
    const { control, minor } = this.#producer;
    const ring = { tracefileSizeBytes, tracefileCount: tracefileSizeBytes > 0n ? 3n : 0n };
    const reply = await control.ask(
      r.addStream(minor, { channelName: name, path: this.#producer.usualPath(), ...ring }),
      12,
    );
    this.#streams.push({
      name,
      handle: reply.readBigUInt64BE(0),
      packets: 0,
      isRing: tracefileSizeBytes > 0n,
    });
    this.#say(`add ${name}`);
  }

  async #endStream(): Promise<void> {
    const [stream] = this.#streams.splice(2, 1) as [Stream];
    this.#say(`end ${stream.name}`);
    await this.#producer.ok(r.closeStream(stream.handle, BigInt(stream.packets - 1)));
  }

  #sendMetadata(): void {
    this.#producer.metadata(this.#metadata, this.#text, 5);
  }

  #sendMore(): void {
    const more = ` and ${this.#pick()}`;
    if (this.#text === 'metadata') this.#sendMetadata();
    this.#text += more;
    this.#say('metadata');
    this.#producer.metadata(this.#metadata, more);
  }

  /** `action`: 0 to the archives, 2 deleted. */
  async #rotate(action: number): Promise<void> {
    const { ok, control } = this.#bound;
    for (const { handle, packets } of this.#streams)
      if (packets > 0) await this.#producer.stored(handle, BigInt(packets - 1));
    const before = this.#chunk;
    this.#chunk += 1n;
    this.#say(`${action === 0 ? 'rotate' : 'clear'} to ${this.#chunk}`);
    await ok(r.createTraceChunk(this.#chunk, undefined, Number(this.#chunk)));
    // LTTng flushes its buffers after the request: packets before the split may still come.
    // Not of a ring: which packet begins its next file would depend on which of two connections was faster.
    const late = this.#streams.filter(({ isRing }) => !isRing && this.#pick() % 3 === 0);
    const ats = this.#streams.map((stream) => {
      const at = BigInt(stream.packets + (late.includes(stream) ? 1 : 0));
      return [stream.handle, at] as const;
    });
    await ok(r.rotateStreams([...ats, [this.#metadata, 0n]], this.#chunk));
    for (const stream of late) await this.#packetOf(stream);
    this.#text = `${this.#text} again`;
    this.#producer.metadata(this.#metadata, this.#text);
    const reply = await control.ask(r.closeTraceChunk(before, action, 100 + Number(this.#chunk)), 8);
    await control.read(reply.readUInt32BE(4));
  }

  get #bound() {
    const producer = this.#producer;
    return { ok: (request: Buffer) => producer.ok(request), control: producer.control };
  }

  async finish(): Promise<void> {
    if (this.#text === 'metadata') this.#sendMetadata();
    for (const { handle, packets } of this.#streams)
      if (packets > 0) await this.#producer.stored(handle, BigInt(packets - 1));
    await this.#producer.finish([
      [this.#metadata, r.noPacket],
      ...this.#streams.map(({ handle, packets }) => [handle, BigInt(packets - 1)] as const),
    ]);
  }
}
