/** A producer that does everything right while others do not, and knows afterwards what must be on the disk. */
import assert from 'node:assert';
import { pattern } from './bytes.ts';
import { type Ports, Producer, type ProducerOptions, ustPath } from './producer.ts';
import type { TestRelay } from './relay.ts';
import * as r from './requests.ts';

/** See the file's head. */
export class GoodSession {
  readonly producer: Producer;
  readonly #streams: readonly bigint[];
  readonly #metadata: bigint;
  readonly #sent: Buffer[][] = [[], []];

  private constructor(producer: Producer, streams: readonly bigint[], metadata: bigint) {
    this.producer = producer;
    this.#streams = streams;
    this.#metadata = metadata;
  }

  static async open(
    t: Parameters<typeof Producer.open>[0],
    ports: Ports,
    options: ProducerOptions = {},
  ): Promise<GoodSession> {
    const producer = await Producer.open(t, ports, { sessionName: 'good', ...options });
    const streams = [await producer.addStream('c_0'), await producer.addStream('c_1')];
    const metadata = await producer.addStream('metadata');
    await producer.ok(r.streamsSent());
    producer.metadata(metadata, 'good metadata', 3);
    const session = new GoodSession(producer, streams, metadata);
    await session.packets(3);
    await session.stored();
    return session;
  }

  get sentPackets(): number {
    return this.#sent[0]?.length ?? 0;
  }

  /** Sends that many packets of each stream, in lockstep as consumerds do. */
  async packets(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1)
      for (const [at, stream] of this.#streams.entries()) {
        const sent = this.#sent[at] as Buffer[];
        const packet = pattern(2000 + at * 100 + sent.length, sent.length);
        await this.producer.packet(stream, BigInt(sent.length), packet);
        sent.push(packet);
      }
  }

  /** Sends packets as long as `other` lasts, and some more. */
  async during<T>(other: Promise<T>): Promise<T> {
    let over = false;
    const ended = () => {
      over = true;
    };
    void other.then(ended, ended);
    while (!over) {
      await this.packets(1);
      await new Promise(setImmediate);
    }
    await this.packets(3);
    return other;
  }

  /** Asks until everything that was sent is stored. */
  async stored(): Promise<void> {
    for (const [at, stream] of this.#streams.entries())
      await this.producer.stored(stream, BigInt((this.#sent[at] as Buffer[]).length - 1));
  }

  /** Ends it in order. */
  async finish(): Promise<void> {
    await this.stored();
    await this.producer.finish([
      [this.#metadata, r.noPacket],
      ...this.#streams.map(
        (stream, at) => [stream, BigInt((this.#sent[at] as Buffer[]).length - 1)] as const,
      ),
    ]);
  }

  /** Holds the session's files against everything that was sent. Throws where a byte or a record is missing. */
  verify(relay: Pick<TestRelay, 'tree'>): void {
    const files = relay.tree();
    const directory = `${this.producer.outputPath}/${ustPath}`;
    assert.deepEqual(files[`${directory}/metadata`], Buffer.from('good metadata\0\0\0'));
    for (const [at, packets] of this.#sent.entries()) {
      let offset = 0;
      const records = packets.map(({ length }, n) => {
        const record = [offset, r.indexFacts(BigInt(n), length)] as const;
        offset += length;
        return record;
      });
      assert(files[`${directory}/c_${at}`]?.equals(Buffer.concat(packets)), `data of c_${at}`);
      const { minor } = this.producer;
      assert(
        files[`${directory}/index/c_${at}.idx`]?.equals(r.indexFile(minor, records)),
        `index of c_${at}`,
      );
    }
  }
}
