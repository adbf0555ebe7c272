/**
 * A producer that sends as fast as the relay takes it: one session over one pair of connections. Unlike LTTng's
 * consumer daemon it does not wait for each index's reply; a few batches are on their way at once, each sending
 * its indexes when the system has taken its data, and beginning anew when all its indexes are answered.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cell } from './cells.ts';
import { Connection } from './connection.ts';
import * as say from './messages.ts';
import { metadataUnits } from './metadata.ts';
import { Batch, framesPerBatch } from './packets.ts';

/** Batches of one session on their way at once: one being stored, one on the wire, one being acknowledged. */
const batchesInFlight = 3;

/** Milliseconds between two questions whether data is still pending. */
const pendingPollMs = 1;

const ok = 10;

export class Producer {
  /** The session's directory as the relay named it, relative to its output directory. */
  readonly path: string;
  readonly #control: Connection;
  readonly #data: Connection;
  readonly #id: bigint;
  readonly #streams: readonly number[];
  readonly #metadata: number;
  readonly #packetSizeBytes: number;
  readonly #packetsPerStream: number;
  #nextPacket = 0;

  private constructor(
    [control, data]: [Connection, Connection],
    session: { id: bigint; path: string },
    handles: { streams: readonly number[]; metadata: number },
    load: { packetSizeBytes: number; packetsPerStream: number },
  ) {
    this.#control = control;
    this.#data = data;
    this.#id = session.id;
    this.path = session.path;
    this.#streams = handles.streams;
    this.#metadata = handles.metadata;
    this.#packetSizeBytes = load.packetSizeBytes;
    this.#packetsPerStream = load.packetsPerStream;
  }

  /** Opens session `number` of `cell` with all its streams and metadata; no packet is sent yet. */
  static async open(
    ports: { control: number; data: number },
    cell: Pick<Cell, 'packetSizeBytes' | 'streamCount' | 'ring'>,
    packetsPerStream: number,
    number: number,
    liveTimerUs = 0,
  ): Promise<Producer> {
    const control = await Connection.open(ports.control);
    await control.ask(say.version(), say.replyBytes.version);
    const created = await control.ask(
      say.createSession(`bench${number}`, 'bench', number, liveTimerUs),
      say.replyBytes.createSession,
    );
    expectOk('CREATE_SESSION', created.readUInt32BE(8));
    const path = await control.receive(created.readUInt32BE(12));
    const data = await Connection.open(ports.data);
    await askPlain(control, 'CREATE_TRACE_CHUNK', say.createTraceChunk());
    const streams: number[] = [];
    for (let i = 0; i < cell.streamCount; i++) {
      streams.push(await addStream(control, `channel0_${i}`, cell.ring));
    }
    const metadata = await addStream(control, 'metadata');
    await askPlain(control, 'STREAMS_SENT', say.streamsSent());
    for (const { text, padding } of metadataUnits()) {
      await control.send(say.sendMetadata(metadata, text, padding));
    }
    return new Producer(
      [control, data],
      { id: created.readBigUInt64BE(0), path: path.toString('utf8', 0, path.length - 1) },
      { streams, metadata },
      { packetSizeBytes: cell.packetSizeBytes, packetsPerStream },
    );
  }

  /**
   * Prepares the batches and returns what sends each stream's packets up to its `limit`th; that resolves when
   * their indexes are acknowledged, and goes on from there when it is called again.
   */
  prepare(): (limit: number) => Promise<void> {
    const capacity = framesPerBatch(this.#packetSizeBytes);
    const batches = Array.from({ length: batchesInFlight }, () => new Batch(this.#packetSizeBytes, capacity));
    return async (limit) => {
      const end = limit * this.#streams.length;
      await Promise.all(batches.map((batch) => this.#cycle(batch, capacity, end)));
    };
  }

  /** Asks as `lttng stop` does, all streams at once, until the relay says that nothing is pending. */
  async stored(): Promise<void> {
    const last = BigInt(this.#packetsPerStream - 1);
    const questions = Buffer.concat([
      say.numbers(say.command.beginDataPending, this.#id),
      say.numbers(say.command.quiescentControl, BigInt(this.#metadata)),
      ...this.#streams.map((stream) => say.numbers(say.command.dataPending, BigInt(stream), last)),
      say.numbers(say.command.endDataPending, this.#id),
    ]);
    for (;;) {
      const answers = await this.#control.ask(questions, 4 * (this.#streams.length + 3));
      const codes = Array.from({ length: answers.length / 4 }, (_, i) => answers.readUInt32BE(4 * i));
      expectOk('BEGIN_DATA_PENDING', codes[0]);
      expectOk('QUIESCENT_CONTROL', codes[1]);
      const pending = codes.slice(2);
      if (pending.every((code) => code === 0)) return;
      const wrong = pending.find((code) => code > 1);
      if (wrong !== undefined) throw new Error(`DATA_PENDING was answered ${wrong}`);
      await delay(pendingPollMs);
    }
  }

  /** Closes every stream, then both connections. */
  async close(): Promise<void> {
    const last = BigInt(this.#packetsPerStream - 1);
    const close = say.command.closeStream;
    await askPlain(
      this.#control,
      'CLOSE_STREAM',
      say.numbers(close, BigInt(this.#metadata), say.noSequenceNumber),
    );
    for (const stream of this.#streams) {
      await askPlain(this.#control, 'CLOSE_STREAM', say.numbers(close, BigInt(stream), last));
    }
    await Promise.all([this.#control.end(), this.#data.end()]);
  }

  async #cycle(batch: Batch, capacity: number, end: number): Promise<void> {
    while (this.#nextPacket < end) {
      const count = Math.min(capacity, end - this.#nextPacket);
      for (let i = 0; i < count; i++) this.#put(batch, i, this.#nextPacket + i);
      this.#nextPacket += count;
      await this.#data.send(batch.frames(count));
      const replies = await this.#control.ask(batch.indexes(count), 4 * count);
      for (let at = 0; at < replies.length; at += 4) expectOk('SEND_INDEX', replies.readUInt32BE(at));
    }
  }

  /** Packets go round the streams, as they come when every CPU traces alike. */
  #put(batch: Batch, i: number, packet: number): void {
    const stream = packet % this.#streams.length;
    const handle = this.#streams[stream] as number;
    batch.put(i, { handle, stream, seqNum: Math.floor(packet / this.#streams.length) });
  }
}

async function askPlain(control: Connection, what: string, message: Buffer): Promise<void> {
  expectOk(what, (await control.ask(message, say.replyBytes.plain)).readUInt32BE(0));
}

async function addStream(control: Connection, name: string, ring?: say.Ring): Promise<number> {
  const reply = await control.ask(say.addStream(name, ring), say.replyBytes.addStream);
  expectOk(`ADD_STREAM ${name}`, reply.readUInt32BE(8));
  return Number(reply.readBigUInt64BE(0));
}

function expectOk(what: string, code: number | undefined): void {
  if (code !== ok) throw new Error(`${what} was answered ${code}, expected ${ok}`);
}
