/** One of many viewers of one process, on an event loop: for what a crowd of them gets, or holds. */
import { Connection } from './connection.ts';
import * as say from './viewer-messages.ts';

export class CrowdViewer {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Attaches to session 1 of the relay. */
  static async open(port: number, seek: 1 | 2): Promise<CrowdViewer> {
    const connection = await Connection.open(port);
    await connection.ask(say.connectViewer(), say.viewerReplyBytes.connect);
    await connection.ask(say.createViewerSession(), say.viewerReplyBytes.created);
    const attached = await connection.ask(say.attach(1, seek), say.viewerReplyBytes.streams);
    if (attached.readUInt32BE(0) !== 1) throw new Error(`ATTACH was answered ${attached.readUInt32BE(0)}`);
    await connection.receive(attached.readUInt32BE(4) * say.viewerReplyBytes.stream);
    return new CrowdViewer(connection);
  }

  /** Reads `packets` of the stream, those that fit into one piece; resolves with their bytes. */
  async read(stream: number, packets: number): Promise<number> {
    const question = say.getPacket(stream);
    let total = 0;
    for (let n = 0; n < packets; n += 1) {
      const index = await this.#connection.ask(say.nextIndex(stream), say.viewerReplyBytes.index);
      if (index.readUInt32BE(56) !== say.indexOk) throw new Error('a packet is missing');
      const bytes = Number(index.readBigUInt64BE(8)) / 8;
      say.aim(question, Number(index.readBigUInt64BE(0)), bytes);
      const reply = await this.#connection.ask(question, say.viewerReplyBytes.bytes + bytes);
      if (reply.readUInt32BE(0) !== 1) throw new Error('GET_PACKET was refused');
      total += bytes;
    }
    return total;
  }

  end(): Promise<void> {
    return this.#connection.end();
  }
}
