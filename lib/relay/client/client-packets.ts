/** The packets of one session on their way: data to the data connection, each index behind its data. */
import { setTimeout as delay } from 'node:timers/promises';
import { isAfter } from '../../disk/ledger.ts';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Data, Index, Lost } from '../../stage/frames.ts';
import type { Slab } from '../../stage/slab.ts';
import type { ClientStream } from './client-stream.ts';
import { DataOrder } from './data-order.ts';
import { indexRequest, lossRequest } from './dialect.ts';
import type { RelayLink } from './handshake.ts';
import type { SinkProgress } from './options.ts';

/** What takes the place of bytes that never came, in packets that were begun. */
const zeros = Buffer.alloc(65_536);
/** Between two questions whether packets are stored, milliseconds. */
const pendingMs = 2;

/** See the file's head. `isIndexed`: packets have indexes in this session. */
export class ClientPackets {
  readonly #link: RelayLink;
  readonly #progress: SinkProgress;
  readonly #isIndexed: boolean;
  readonly #order: DataOrder;
  /** The stream whose packet is under way on the data connection, and what is still owed of that. */
  #owing: ClientStream | undefined;
  #owedBytes = 0;

  constructor(link: RelayLink, progress: SinkProgress, isIndexed: boolean) {
    this.#link = link;
    this.#progress = progress;
    this.#isIndexed = isIndexed;
    this.#order = new DataOrder(
      (stream, frame, slab) => this.#send(stream, frame, slab),
      () => {
        link.data.flush();
        return link.control.fewer(0);
      },
    );
  }

  data(stream: ClientStream, frame: Data, slab: Slab): Promise<void> | undefined {
    return this.#order.take(stream, frame, slab);
  }

  index(stream: ClientStream, frame: Index): Promise<void> | undefined {
    if (!this.#isIndexed) return undefined;
    if (stream.hasSent(frame.netSeqNum)) this.#sendIndex(stream, frame);
    else stream.early.set(frame.netSeqNum, frame);
    const got = stream.early.size;
    const expected = limits.halfPacketsPerStream;
    if (got > expected)
      throw new MillraceError('MR_ERR_WIRE_LONG', { what: 'list of packets without data', got, expected });
    return this.#order.isEmpty ? undefined : this.#order.release();
  }

  async lost(stream: ClientStream, frame: Lost): Promise<void> {
    const { netSeqNum } = frame;
    // A packet that was announced, and whose data never came.
    const index = frame.index ?? stream.early.get(netSeqNum);
    if (this.#link.isMillrace && this.#isIndexed && index !== undefined) {
      await this.#storedBefore(stream, netSeqNum);
      await this.#link.control.ask('packetLost', lossRequest(stream.handle, frame, index));
    }
    stream.early.delete(netSeqNum);
    stream.unindexed.delete(netSeqNum);
    if (this.#owing === stream) this.#cutShort(stream);
    if (!this.#order.isEmpty) await this.#order.release();
  }

  /** A record of a loss has its place behind those of the packets before it, whose data is on another connection. */
  async #storedBefore(stream: ClientStream, netSeqNum: bigint): Promise<void> {
    const { control, data } = this.#link;
    const { lastWhole } = stream;
    // Those behind it may be waiting for this very word.
    const last = lastWhole !== undefined && isAfter(lastWhole, netSeqNum) ? netSeqNum - 1n : lastWhole;
    if (last === undefined || last === stream.lastStored) return;
    data.flush();
    const giveUpAtMs = performance.now() + limits.pendingSeconds * 1000;
    const question = { streamId: stream.handle, lastNetSeqNum: last };
    while ((await control.ask('dataPending', question, { anyRet: true })).ret === 1) {
      // The end of the session will tell what is wrong.
      if (performance.now() > giveUpAtMs) return;
      await delay(pendingMs);
    }
    stream.lastStored = last;
  }

  /** Nothing more comes of this stream. */
  async end(stream: ClientStream): Promise<void> {
    if (this.#owing === stream) this.#cutShort(stream);
    await this.#order.release();
    this.#order.drop(stream);
    // Whoever sent it has gone without its index.
    if (stream.unindexed.size > 0) stream.cutShort = true;
  }

  /** Gives back what waits. */
  drop(): void {
    this.#order.drop();
  }

  #send(stream: ClientStream, frame: Data, slab: Slab): void {
    const { data } = this.#link;
    const { netSeqNum, dataSizeBytes, paddingSizeBytes, offsetBytes, start, end } = frame;
    if (offsetBytes === 0) {
      this.#fillUp();
      data.header(stream.handle, netSeqNum, dataSizeBytes, paddingSizeBytes);
      stream.hasBegun = true;
      this.#owing = stream;
      this.#owedBytes = dataSizeBytes;
    }
    data.bytes(slab, start, end);
    this.#owedBytes -= end - start;
    this.#progress.bytes += end - start;
    if (frame.last) this.#sent(stream, netSeqNum);
  }

  #sent(stream: ClientStream, netSeqNum: bigint): void {
    this.#owing = undefined;
    stream.firstSent ??= netSeqNum;
    stream.lastSent = netSeqNum;
    this.#progress.packets += 1;
    if (!this.#isIndexed) {
      this.#progress.acknowledgedPackets += 1;
      return;
    }
    stream.unindexed.add(netSeqNum);
    const index = stream.early.get(netSeqNum);
    if (index === undefined) return;
    stream.early.delete(netSeqNum);
    this.#sendIndex(stream, index);
  }

  #sendIndex(stream: ClientStream, index: Index): void {
    stream.unindexed.delete(index.netSeqNum);
    this.#link.control.send('sendIndex', indexRequest(stream.handle, index), () => {
      stream.indexAcknowledged(index.packetSeqNum);
      stream.lastAcknowledged = index.netSeqNum;
      this.#progress.acknowledgedPackets += 1;
    });
  }

  /**
   * A packet that was begun will never be whole. If it stays the last one of the connection, it is left so: relays cut
   * such a tail.
   */
  #cutShort(stream: ClientStream): void {
    stream.cutShort = true;
    this.#order.ended(stream);
  }

  /** The connection needs the bytes of a packet that was cut short before it can carry another; it gets no index. */
  #fillUp(): void {
    if (this.#owing === undefined) return;
    while (this.#owedBytes > 0) {
      const bytes = Math.min(this.#owedBytes, zeros.length);
      this.#link.data.filler(zeros.subarray(0, bytes));
      this.#owedBytes -= bytes;
    }
    this.#owing = undefined;
  }
}
