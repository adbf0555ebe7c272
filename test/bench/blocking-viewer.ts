/** A viewer whose sockets block: it asks one thing and waits for the answer, as babeltrace2 does. */
import { BlockingSocket } from './native.ts';
import * as say from './viewer-messages.ts';

export class BlockingViewer {
  readonly #socket: BlockingSocket;
  readonly #index: Buffer;
  readonly #packet: Buffer;
  readonly #indexReply = Buffer.alloc(say.viewerReplyBytes.index);
  readonly #head = Buffer.alloc(say.viewerReplyBytes.bytes);
  readonly #piece = Buffer.alloc(say.pieceBytes);
  #offset = 0;
  #bytes = 0;

  /** Attaches to a session of the relay, by its number from 1, and reads its stream `stream`. */
  constructor(port: number, stream: number, session: number, seek: 1 | 2) {
    this.#socket = new BlockingSocket(port);
    this.#index = say.nextIndex(stream);
    this.#packet = say.getPacket(stream);
    this.#socket.ask(say.connectViewer(), say.viewerReplyBytes.connect);
    this.#socket.ask(say.createViewerSession(), say.viewerReplyBytes.created);
    const attached = this.#socket.ask(say.attach(session, seek), say.viewerReplyBytes.streams);
    if (attached.readUInt32BE(0) !== 1) throw new Error(`ATTACH was answered ${attached.readUInt32BE(0)}`);
    this.#socket.receive(Buffer.alloc(attached.readUInt32BE(4) * say.viewerReplyBytes.stream));
  }

  /** The first bytes of metadata; returns how many there were. */
  metadata(stream: number): number {
    const head = this.#socket.ask(say.getMetadata(stream), say.viewerReplyBytes.bytes);
    return this.#socket.receive(Buffer.alloc(Number(head.readBigUInt64BE(0)))).length;
  }

  /** Asks for the next packet; returns whether there is one. */
  next(): boolean {
    this.ask();
    return this.answer();
  }

  /** Asks for the next packet, and leaves the answer to `answer`. */
  ask(): void {
    this.#socket.send(this.#index);
  }

  /** Returns whether there is one. */
  answer(): boolean {
    const reply = this.#socket.receive(this.#indexReply);
    if (reply.readUInt32BE(56) !== say.indexOk) return false;
    this.#offset = Number(reply.readBigUInt64BE(0));
    this.#bytes = Number(reply.readBigUInt64BE(8)) / 8;
    return true;
  }

  /** Reads the packet that was found last; returns its bytes. */
  read(): number {
    for (let at = 0; at < this.#bytes; at += say.pieceBytes) {
      const bytes = Math.min(say.pieceBytes, this.#bytes - at);
      this.#socket.send(say.aim(this.#packet, this.#offset + at, bytes));
      const head = this.#socket.receive(this.#head);
      if (head.readUInt32BE(0) !== 1 || head.readUInt32BE(4) !== bytes)
        throw new Error(`GET_PACKET was answered ${head.toString('hex')}`);
      const piece = this.#socket.receive(this.#piece.subarray(0, bytes));
      if (at === 0 && piece.readUInt32LE(0) !== 0xc1fc1fc1) throw new Error('this is no packet');
    }
    return this.#bytes;
  }

  close(): void {
    this.#socket.close();
  }
}
