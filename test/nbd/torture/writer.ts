/** A client that writes to its blocks at random, many requests in flight, and comes back whenever it was cut off. */
import { connect } from 'node:net';
import { helloBytes, replyBytes, request, types } from '../../fakes/nbd/bytes.ts';
import { Peer } from '../../helpers/peer.ts';
import { blockBytes, type DiskModel, stamped } from './model.ts';

export interface WriterOptions {
  port: number;
  model: DiskModel;
  /** Blocks that nobody else writes. */
  blocks: readonly number[];
  /** Requests in flight at the most. */
  depth: number;
  random: () => number;
}

/** See the file's head. */
export class Writer {
  readonly #options: WriterOptions;
  #write = 0;
  #stopped = false;
  #peer: Peer | undefined;
  readonly done: Promise<void>;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.done = this.#live();
  }

  /** For good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#peer?.socket.destroy();
    await this.done;
  }

  async #live(): Promise<void> {
    while (!this.#stopped) {
      await this.#session().catch(() => undefined);
      this.#peer?.socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #session(): Promise<void> {
    const { port, model, blocks, depth, random } = this.#options;
    const peer = Peer.of(connect({ host: '127.0.0.1', port, noDelay: true }));
    this.#peer = peer;
    await peer.read(helloBytes);
    const inFlight: Array<{ block: number; write: number }> = [];
    while (!this.#stopped) {
      while (inFlight.length < depth) {
        const block = blocks[random() % blocks.length] as number;
        if (inFlight.some((other) => other.block === block)) break;
        this.#write += 1;
        inFlight.push({ block, write: this.#write });
        model.sent(block, this.#write);
        const header = request(types.write, block * blockBytes, blockBytes);
        peer.write(Buffer.concat([header, stamped(block, this.#write)]));
      }
      const reply = await peer.read(replyBytes);
      const first = inFlight.shift() as { block: number; write: number };
      // an error is no acknowledgement: it stays one of those of which nobody knows
      if (reply.readUInt32BE(4) === 0) model.acknowledged(first.block, first.write);
      // a disk is not all that a host does
      if (random() % 8 === 0) await new Promise((resolve) => setTimeout(resolve, random() % 4));
    }
  }
}
