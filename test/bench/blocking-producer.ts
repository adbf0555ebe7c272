/**
 * One session of a producer whose sockets block: it says one thing and waits for the answer, as LTTng's consumer
 * daemon does, so that what is measured is the relay's answer and not an event loop of its own.
 */
import * as say from './messages.ts';
import { metadataUnits } from './metadata.ts';
import { BlockingSocket } from './native.ts';
import { Batch } from './packets.ts';

const ok = 10;

export class BlockingProducer {
  /** The session's directory as the relay named it, relative to its output directory. */
  readonly path: string;
  readonly #control: BlockingSocket;
  readonly #data: BlockingSocket;
  readonly #batch: Batch;
  readonly #reply = Buffer.alloc(say.replyBytes.plain);

  /** Opens a session in its first trace chunk. `number`: the sessiond's session id, one a relay. */
  constructor(
    ports: { control: number; data: number },
    name: string,
    packetSizeBytes: number,
    number: number,
    liveTimerUs = 0,
  ) {
    this.#batch = new Batch(packetSizeBytes, 1);
    this.#control = new BlockingSocket(ports.control);
    this.#control.ask(say.version(), say.replyBytes.version);
    const created = this.#control.ask(
      say.createSession(name, 'bench', number, liveTimerUs),
      say.replyBytes.createSession,
    );
    expectOk(created.readUInt32BE(8));
    const path = this.#control.receive(Buffer.alloc(created.readUInt32BE(12)));
    this.path = path.toString('utf8', 0, path.length - 1);
    this.#data = new BlockingSocket(ports.data);
    this.ask(say.createTraceChunk());
  }

  /** Returns the stream's handle. */
  addStream(name: string): number {
    const reply = this.#control.ask(say.addStream(name), say.replyBytes.addStream);
    expectOk(reply.readUInt32BE(8));
    return Number(reply.readBigUInt64BE(0));
  }

  /** Sends a request whose reply is a code alone, and waits for "ok". */
  ask(message: Buffer): void {
    this.#control.send(message);
    expectOk(this.#answer());
  }

  /** Whether the relay has yet to store the packet. */
  isPending(handle: number, seqNum: number): boolean {
    this.#control.send(say.numbers(say.command.dataPending, BigInt(handle), BigInt(seqNum)));
    return this.#answer() !== 0;
  }

  /** Sends the whole metadata, which has no reply. */
  sendMetadata(handle: number): void {
    for (const { text, padding } of metadataUnits())
      this.#control.send(say.sendMetadata(handle, text, padding));
  }

  /** Chunk `id` goes to the archives; its reply, with the path in it, has come. */
  closeTraceChunk(id: number): void {
    const reply = this.#control.ask(say.closeTraceChunk(id), say.replyBytes.closeTraceChunk);
    expectOk(reply.readUInt32BE(0));
    this.#control.receive(Buffer.alloc(reply.readUInt32BE(4)));
  }

  /** Sends a packet's data frame alone; `sendIndex` is to follow. `stream`: its number in the session, from 0. */
  sendPacket(handle: number, seqNum: number, stream = 0): void {
    this.#batch.put(0, { handle, stream, seqNum });
    this.#data.send(this.#batch.frames(1));
  }

  /** Sends the index of the packet that was sent last, and waits for its reply. */
  sendIndex(): void {
    this.beginIndex();
    this.endIndex();
  }

  /** Sends the index of the packet that was sent last; `endIndex` is to follow. */
  beginIndex(): void {
    this.#control.send(this.#batch.indexes(1));
  }

  endIndex(): void {
    expectOk(this.#answer());
  }

  close(): void {
    this.#control.close();
    this.#data.close();
  }

  #answer(): number {
    return this.#control.receive(this.#reply).readUInt32BE(0);
  }
}

function expectOk(code: number): void {
  if (code !== ok) throw new Error(`the relay answered ${code}, expected ${ok}`);
}
