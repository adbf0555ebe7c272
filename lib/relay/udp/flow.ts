/**
 * The packets of one session that come as datagrams, on their way to the store. The control connection says how far
 * was sent; what of that has not come within `limits.udpLateMs` is lost, and sooner where nothing can come any more.
 * A loss is stored when the packet's index is there, so that it stands in the index file in its place.
 */
import { randomBytes } from 'node:crypto';
import type { Writable } from 'node:stream';
import { chunkWriter } from '../../disk/chunk-writer.ts';
import { isAfter } from '../../disk/ledger.ts';
import { StreamWriter } from '../../disk/stream-writer.ts';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { FrameBatch } from '../../stage/batch.ts';
import { looseSlab } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import type { Owner, RelaySession } from '../session.ts';
import type { RelayState } from '../state.ts';
import { Arrivals, type Fragment, Reassembly, type WholePacket } from './reassembly.ts';

/** How far one stream was sent. */
export interface SentStream {
  streamId: bigint;
  firstNetSeqNum: bigint;
  lastNetSeqNum: bigint;
}

/** Word on the control connection: these datagrams were sent. */
interface Word {
  datagrams: bigint;
  streams: readonly SentStream[];
  dueMs: number;
}

type Work = { is: 'packet'; packet: WholePacket } | { is: 'lost'; streamId: bigint; netSeqNum: bigint };

/** How often losses whose index is still missing are looked at again, milliseconds. */
const retryMs = 20;

/** See the file's head. */
export class UdpFlow implements Owner {
  readonly token: bigint = randomBytes(8).readBigUInt64BE();
  readonly peer: string;
  readonly address: string;
  lostPackets = 0;
  readonly #relay: RelayState;
  readonly #session: RelaySession;
  readonly #onEnded: (flow: UdpFlow) => void;
  readonly #writer: Writable;
  readonly #arrivals = new Arrivals();
  readonly #reassembly: Reassembly;
  readonly #words: Word[] = [];
  readonly #work: Work[] = [];
  /** Losses whose index has not come. */
  #unannounced: { streamId: bigint; netSeqNum: bigint }[] = [];
  #workBytes = 0;
  #working = false;
  #ending = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(relay: RelayState, session: RelaySession, onEnded: (flow: UdpFlow) => void) {
    this.#relay = relay;
    this.#session = session;
    this.#onEnded = onEnded;
    this.address = session.owner.address;
    this.peer = `${session.owner.peer} udp`;
    this.#writer = chunkWriter(relay.store);
    this.#writer.on('error', (error) => this.#failed(error));
    const room = (bytes: number) =>
      this.#reassembly.heldBytes + this.#workBytes + bytes <= relay.limits.udpHeldBytes;
    const sink = {
      packet: (packet: WholePacket) => {
        this.#workBytes += packet.bytes.length;
        this.#work.push({ is: 'packet', packet });
      },
      lost: (streamId: bigint, netSeqNum: bigint) => this.#work.push({ is: 'lost', streamId, netSeqNum }),
    };
    this.#reassembly = new Reassembly(sink, room);
  }

  /** Whether this is the session's flow. */
  isOf(session: RelaySession): boolean {
    return this.#session === session;
  }

  get received(): bigint {
    return this.#arrivals.received;
  }

  /** A datagram of this session. */
  datagram(sequence: bigint, fragment: Fragment): void {
    if (this.#ended || !this.#arrivals.note(sequence)) return;
    this.#reassembly.take(fragment);
    this.#settle();
  }

  /** Word that datagrams were sent. Throws MR_ERR_WIRE_RANGE for numbers that nobody can have sent. */
  sent(datagrams: bigint, streams: readonly SentStream[]): void {
    for (const { streamId, firstNetSeqNum, lastNetSeqNum } of streams) {
      const expected = `${limits.udpSentPackets} packets`;
      if (lastNetSeqNum - firstNetSeqNum > 0xffff_ffff_ffffn)
        throw new MillraceError('MR_ERR_WIRE_RANGE', { what: 'udpSent', got: lastNetSeqNum, expected });
      this.#reassembly.begin(streamId, firstNetSeqNum);
    }
    this.#words.push({ datagrams, streams, dueMs: performance.now() + this.#relay.limits.udpLateMs });
    this.#settle();
  }

  /** The control connection is gone: what was sent has a last while to come. */
  controlEnded(): void {
    this.#ending = true;
    this.#settle();
  }

  /** Ends it now, with what is stored. */
  destroy(): void {
    this.#end(true);
  }

  /** Decides what is lost, and has the rest written. */
  #settle(): void {
    const now = performance.now();
    for (let word = this.#words[0]; word !== undefined; word = this.#words[0]) {
      if (this.#arrivals.floor < word.datagrams && word.dueMs > now) break;
      this.#words.shift();
      this.#arrivals.pass(word.datagrams);
      for (const { streamId, lastNetSeqNum } of word.streams)
        if (!this.#reassembly.giveUp(streamId, lastNetSeqNum)) {
          const facts = { what: 'udpSent', got: lastNetSeqNum, expected: `${limits.udpSentPackets} packets` };
          this.#failed(new MillraceError('MR_ERR_WIRE_RANGE', facts));
          return;
        }
    }
    void this.#writeAll();
    this.#wakeLater();
  }

  #wakeLater(): void {
    clearTimeout(this.#timer);
    if (this.#ended) return;
    const word = this.#words[0];
    const waits = [
      ...(word === undefined ? [] : [Math.max(1, word.dueMs - performance.now())]),
      ...(this.#unannounced.length > 0 ? [retryMs] : []),
    ];
    if (waits.length > 0) this.#timer = setTimeout(() => this.#settle(), Math.min(...waits));
    else if (this.#ending && !this.#working && this.#work.length === 0) this.#end(false);
  }

  async #writeAll(): Promise<void> {
    if (this.#working || this.#ended) return;
    this.#working = true;
    const again = this.#unannounced;
    this.#unannounced = [];
    for (const loss of again) this.#lose(loss);
    for (let work = this.#work.shift(); work !== undefined && !this.#ended; work = this.#work.shift()) {
      if (work.is === 'lost') this.#lose(work);
      else {
        await this.#write(work.packet);
        this.#workBytes -= work.packet.bytes.length;
      }
    }
    if (!this.#ended) this.#relay.store.flush();
    this.#working = false;
    this.#wakeLater();
  }

  async #write({ streamId, netSeqNum, paddingSizeBytes, bytes }: WholePacket): Promise<void> {
    const stream = Number(streamId);
    const writer = this.#writerOf(streamId);
    if (writer === undefined || writer.failed !== undefined || !writer.hasFile) return;
    const { length } = bytes;
    const range = { dataSizeBytes: length, offsetBytes: 0, start: 0, end: length };
    const batch: FrameBatch = {
      slab: looseSlab(bytes),
      frames: [{ kind: 'data', last: true, stream, netSeqNum, paddingSizeBytes, ...range }],
    };
    for (const tap of this.#relay.taps) await tap.data(batch);
    await new Promise<void>((resolve) => {
      this.#writer.write(batch, () => resolve());
    });
  }

  #lose({ streamId, netSeqNum }: { streamId: bigint; netSeqNum: bigint }): void {
    const writer = this.#writerOf(streamId);
    if (writer === undefined) return;
    const { indexed } = writer.ledger;
    const announced = indexed.netSeqNum !== undefined && !isAfter(netSeqNum, indexed.netSeqNum);
    if (writer.isIndexed && !announced && !this.#ending) {
      this.#unannounced.push({ streamId, netSeqNum });
      return;
    }
    this.lostPackets += 1;
    this.#relay.store.accept({
      kind: 'lost',
      stream: Number(streamId),
      netSeqNum,
      cause: 'udp',
      index: undefined,
    });
  }

  #writerOf(streamId: bigint): StreamWriter | undefined {
    const stream = this.#relay.streams.get(Number(streamId));
    if (stream?.session !== this.#session || !(stream.writer instanceof StreamWriter)) return undefined;
    return stream.writer;
  }

  #failed(error: Error): void {
    if (this.#ended) return;
    const code = error instanceof MillraceError ? error.code : undefined;
    tell('warn', 'relay:refused', `${this.peer}: ${why(error)}`, { peer: this.peer }, code);
    this.#end(true);
  }

  #end(aborted: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#writer.destroy();
    const { duplicates, late, bad } = this.#reassembly;
    const facts = { received: this.received, lost: this.lostPackets, duplicates, late, bad };
    tell(
      'debug',
      'relay:udp-end',
      `${this.peer}: ${this.received} datagrams, ${this.lostPackets} packets lost`,
      facts,
    );
    this.#onEnded(this);
    if (aborted && !this.#ending) this.#session.dataEnded(true);
    else this.#session.dataEnded(false);
  }
}
