/**
 * Packets in the order stage: data passes in the order of its numbers, an index as soon as it comes, and what is
 * missing when the stream ends is declared lost.
 */
import type { Data, Frame, Index, Lost, StreamEnd } from '../frames.ts';
import { outOfOrder } from '../grammar.ts';
import type { Slab } from '../slab.ts';
import type { OrderParts, SessionMemory, StreamMemory } from './memory.ts';
import type { Held } from './runs.ts';
import type { Streams } from './streams.ts';

/** A packet sequence number that says: the tracer has none. Source: relay-protocol §7.10. */
const noPacketSeqNum = 0xffff_ffff_ffff_ffffn;

/** See the file's head. */
export class Packets {
  readonly #parts: OrderParts;
  readonly #streams: Streams;

  constructor(parts: OrderParts, streams: Streams) {
    this.#parts = parts;
    this.#streams = streams;
  }

  /** Data, or the news that it is lost: passes when its packet is due, waits when it is early. */
  take(frame: Data | Lost, slab?: Slab): SessionMemory {
    const stream = this.#streams.of(frame);
    const { ending, numbers } = stream;
    const lastNetSeqNum = ending?.lastNetSeqNum;
    if (lastNetSeqNum !== undefined && numbers.ahead(frame.netSeqNum) > numbers.ahead(lastNetSeqNum)) {
      throw outOfOrder(frame, stream.state, `packet ${lastNetSeqNum} was called the last`);
    }
    this.#arrive(stream, frame, slab);
    if (ending !== undefined && !isLastMissing(stream)) this.close(stream);
    return stream.session;
  }

  index(frame: Index): SessionMemory {
    const stream = this.#streams.of(frame);
    const { numbers, trace, session } = stream;
    this.#streams.step(stream, 'index', frame);
    if (frame.metadataPositionBytes > trace.mostBytes) {
      throw outOfOrder(
        frame,
        stream.state,
        `of the metadata it needs only ${trace.mostBytes} bytes have come`,
      );
    }
    this.#begin(stream, frame);
    if (!session.isIndexless) {
      if (numbers.hasIndex(frame.netSeqNum)) {
        throw outOfOrder(frame, stream.state, 'its packet has an index, or is lost');
      }
      this.#refuseFar(stream, frame, frame.netSeqNum);
      numbers.index(frame);
      this.#refuseHalves(stream, frame);
    }
    this.#count(stream, frame);
    this.#parts.runs.add(frame);
    return session;
  }

  /**
   * The stream's end. What early packets waited for will not come any more; data behind all that came may still be
   * under way on another connection, so the end waits for it until the session ends.
   */
  end(frame: StreamEnd): SessionMemory {
    const stream = this.#streams.ofSession(frame);
    const { numbers, held, state } = stream;
    if (stream.ending !== undefined) throw outOfOrder(frame, state, 'the stream has been ended before');
    if (frame.lastNetSeqNum !== undefined) this.#checkLast(stream, frame, frame.lastNetSeqNum);
    else if (state === 'idle' && numbers.next === undefined) {
      this.#parts.note('emptyStream', frame.kind, { stream: stream.handle });
    }
    while (held.size > 0) this.#loseNext(stream);
    stream.ending = frame;
    if (isLastMissing(stream)) this.#parts.note('endEarly', frame.kind, { stream: stream.handle });
    else this.close(stream);
    return stream.session;
  }

  /** Declares lost whatever is still missing, then closes the stream. */
  close(stream: StreamMemory): void {
    const { numbers, held, handle, session } = stream;
    const frame = stream.ending ?? {
      kind: 'streamEnd',
      session: session.handle,
      stream: handle,
      lastNetSeqNum: undefined,
    };
    while (held.size > 0 || stream.state === 'packet' || numbers.hasWaiting || isLastMissing(stream)) {
      this.#loseNext(stream);
    }
    for (const netSeqNum of numbers.unindexed()) {
      this.#place(stream, lost(stream, netSeqNum, 'its index never came'), undefined);
    }
    this.#streams.close(stream, { ...frame, lastNetSeqNum: frame.lastNetSeqNum ?? numbers.last });
  }

  #loseNext(stream: StreamMemory): void {
    const cause = stream.offsetBytes > 0 ? 'its data was cut short' : 'its data never came';
    this.#arrive(stream, lost(stream, stream.numbers.next ?? 0n, cause), undefined);
  }

  #arrive(stream: StreamMemory, frame: Data | Lost, slab: Slab | undefined): void {
    this.#place(stream, frame, slab);
    for (let held = earliest(stream); held !== undefined; held = earliest(stream)) {
      this.#parts.shelf.take(held, (early, itsSlab) => this.#place(stream, early, itsSlab));
    }
  }

  #place(stream: StreamMemory, frame: Data | Lost, slab: Slab | undefined): void {
    const { numbers, session } = stream;
    this.#begin(stream, frame);
    const ahead = numbers.ahead(frame.netSeqNum);
    if (ahead > 0) {
      this.#hold(stream, frame, slab);
      return;
    }
    if (frame.kind === 'data') this.#data(stream, frame, ahead, slab);
    else this.#lost(stream, frame, ahead);
    if (ahead < 0 || stream.state === 'packet') return;
    stream.offsetBytes = 0;
    if (session.isIndexless) numbers.settleIndex(frame.netSeqNum);
    numbers.advance();
    this.#refuseHalves(stream, frame);
  }

  #hold(stream: StreamMemory, frame: Data | Lost, slab: Slab | undefined): void {
    this.#refuseFar(stream, frame, frame.netSeqNum);
    const held = stream.held.get(frame.netSeqNum) ?? [];
    const before = held.at(-1)?.frame;
    if (before !== undefined && (before.kind === 'lost' || before.last)) {
      throw outOfOrder(frame, stream.state, 'its packet has come, or is lost');
    }
    held.push(this.#parts.shelf.put(frame, frame.kind === 'data' ? slab : undefined));
    stream.held.set(frame.netSeqNum, held);
  }

  #data(stream: StreamMemory, frame: Data, ahead: number, slab: Slab | undefined): void {
    if (ahead < 0) throw outOfOrder(frame, stream.state, 'its packet has passed, or is lost');
    if (frame.offsetBytes !== stream.offsetBytes) {
      throw outOfOrder(frame, stream.state, `byte ${stream.offsetBytes} is due, not ${frame.offsetBytes}`);
    }
    this.#streams.step(stream, frame.last ? 'data last' : 'data part', frame);
    stream.offsetBytes += frame.end - frame.start;
    this.#parts.runs.add(frame, slab);
  }

  #lost(stream: StreamMemory, frame: Lost, ahead: number): void {
    const { numbers } = stream;
    const hasIndex = numbers.hasIndex(frame.netSeqNum);
    if (ahead < 0 && hasIndex) throw outOfOrder(frame, stream.state, 'its packet has passed, or is lost');
    this.#streams.step(stream, ahead < 0 ? 'lost past' : 'lost next', frame);
    if (!hasIndex) numbers.settleIndex(frame.netSeqNum);
    this.#parts.runs.add(frame);
  }

  /** The first packet of a stream, by data or by index: its number is where counting starts. */
  #begin(stream: StreamMemory, frame: { kind: string; netSeqNum: bigint }): void {
    if (stream.numbers.next !== undefined) return;
    const facts = { stream: stream.handle, netSeqNum: frame.netSeqNum };
    if (frame.netSeqNum !== 0n) this.#parts.note('firstNumber', frame.kind, facts);
    if (!stream.isPublished) this.#parts.note('unpublished', frame.kind, facts);
    if (stream.trace.mostBytes === 0) this.#parts.note('metadataLast', frame.kind, facts);
    stream.numbers.begin(frame.netSeqNum);
  }

  #count(stream: StreamMemory, { kind, packetSeqNum }: Index): void {
    if (packetSeqNum === undefined || packetSeqNum === noPacketSeqNum) return;
    if (packetSeqNum !== (stream.packetSeqNum ?? packetSeqNum)) {
      this.#parts.note('packetJump', kind, { stream: stream.handle, packetSeqNum });
    }
    stream.packetSeqNum = packetSeqNum + 1n;
  }

  #checkLast(stream: StreamMemory, frame: StreamEnd, lastNetSeqNum: bigint): void {
    this.#begin(stream, { kind: frame.kind, netSeqNum: lastNetSeqNum });
    if (stream.numbers.ahead(lastNetSeqNum) < -1) {
      throw outOfOrder(
        frame,
        stream.state,
        `packet ${stream.numbers.last} came, ${lastNetSeqNum} is called the last`,
      );
    }
    this.#refuseFar(stream, frame, lastNetSeqNum);
  }

  /** A hole must be small enough to be accounted for packet by packet. */
  #refuseFar(stream: StreamMemory, frame: Frame, netSeqNum: bigint): void {
    const { halfPacketsPerStream } = this.#parts.ceilings;
    const ahead = stream.numbers.ahead(netSeqNum);
    if (ahead <= halfPacketsPerStream) return;
    throw outOfOrder(
      frame,
      stream.state,
      `it skips ${ahead} packets, at most ${halfPacketsPerStream} are allowed`,
    );
  }

  #refuseHalves(stream: StreamMemory, frame: Frame): void {
    const { halfPacketsPerStream } = this.#parts.ceilings;
    if (stream.numbers.halves <= halfPacketsPerStream) return;
    throw outOfOrder(frame, stream.state, `more than ${halfPacketsPerStream} packets are half there`);
  }
}

/** The next frame that need not wait any longer, taken from the stream. */
function earliest({ numbers, held }: StreamMemory): Held<Data | Lost> | undefined {
  if (held.size === 0 || numbers.next === undefined) return undefined;
  const frames = held.get(numbers.next);
  if (frames?.length === 1) held.delete(numbers.next);
  return frames?.shift();
}

/** The stream's end has named a packet whose data has not passed. */
function isLastMissing({ numbers, ending }: StreamMemory): boolean {
  return ending?.lastNetSeqNum !== undefined && numbers.ahead(ending.lastNetSeqNum) >= 0;
}

function lost({ handle, numbers }: StreamMemory, netSeqNum: bigint, cause: string): Lost {
  return { kind: 'lost', stream: handle, netSeqNum, cause, index: numbers.waitingIndex(netSeqNum) };
}
