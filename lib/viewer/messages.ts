/**
 * The messages of one data stream, one at a time: its packets' beginnings and ends, its events, and what was lost.
 * Source: ctf, "Packets", "Lost events and packets".
 */
import { Cursor, decodeError } from '../ctf/decode/cursor.ts';
import type { ScopeValues } from '../ctf/decode/values-emitter.ts';
import { MillraceError } from '../errors.ts';
import type { EventTime } from './line-format.ts';
import { discardedEvents, discardedPackets, type Loss, type Passage } from './losses.ts';
import type { ClockReader, Moment } from './moment.ts';
import { type Packet, packetError } from './packet-table.ts';
import type { EventCode, StreamCode } from './stream-code.ts';
import { TextBuffer } from './text/text-buffer.ts';

/** In the order of messages of one time. */
export const messageKinds = {
  packetBegin: 1,
  event: 2,
  discardedEvents: 3,
  packetEnd: 4,
  discardedPackets: 6,
} as const;

export type MessageKind = (typeof messageKinds)[keyof typeof messageKinds];

/** A packet, and its bytes, lent until the next one is asked for. */
export interface Supplied {
  packet: Packet;
  bytes: Buffer;
}

/** Where a stream's packets come from. `load`: ask again when it has been read; `wait`: when something has come. */
export interface PacketSupply {
  next(): Supplied | 'load' | 'wait' | 'end';
}

type Phase = 'packet' | 'discardedEvents' | 'discardedPackets' | 'packetBegin' | 'event' | 'end';

export class StreamMessages implements EventTime {
  code: StreamCode;
  cursor: Cursor;
  readonly supply: PacketSupply;
  readonly #clock: ClockReader | undefined;
  /** The message at hand. */
  kind: MessageKind = messageKinds.packetBegin;
  seconds = Number.NEGATIVE_INFINITY;
  nanos = 0;
  // Doubles from the beginning: words of 32 bits become some, and compiled code would have to be thrown away then.
  clockHigh = Number.NaN;
  clockLow = Number.NaN;
  event: EventCode | undefined;
  loss: Loss | undefined;
  #phase: Phase = 'packet';
  #packet: Packet | undefined;
  #before: Packet | undefined;
  /** Where the event at hand begins, in bits. */
  #eventAt = -1;
  readonly #aside = new TextBuffer(16_384);
  #isAside = false;
  readonly #where: ((scopes: ScopeValues) => boolean) | undefined;
  #packetValues: ScopeValues = {};
  // Where times are watched: the end of the packet at hand.
  #endSeconds = Number.POSITIVE_INFINITY;
  #endNanos = Number.NaN;
  #isWatched = false;

  /** `where`: only events whose fields pass it are wanted. */
  constructor(
    code: StreamCode,
    clock: ClockReader | undefined,
    supply: PacketSupply,
    where?: (scopes: ScopeValues) => boolean,
  ) {
    this.code = code;
    this.#where = where;
    this.#clock = clock;
    this.supply = supply;
    this.cursor = new Cursor(code.layout.sharedSlots);
  }

  /** Decodes the packets from the next one on with other code: the metadata has grown. */
  use(code: StreamCode): void {
    const { clock } = this.cursor;
    this.code = code;
    this.cursor = new Cursor(code.layout.sharedSlots);
    this.cursor.clock.set(clock);
  }

  /**
   * Begins behind `before`, which must have times; undefined: at the beginning. `isWatched`: an event later than its
   * packet's end is an error.
   */
  startBehind(before: Packet | undefined, isWatched: boolean): void {
    this.#isWatched = isWatched;
    this.#packet = before;
    if (before !== undefined) this.#setClock(before);
  }

  get hasClock(): boolean {
    return this.#clock !== undefined;
  }

  /**
   * Goes to the next message. `last`: the time of the message before in the merge, which messages without time take.
   * Errors: MR_ERR_VIEW_PACKET.
   */
  advance(last: Moment): 'message' | 'load' | 'wait' | 'end' {
    for (;;) {
      switch (this.#phase) {
        case 'packet': {
          const supplied = this.supply.next();
          if (typeof supplied === 'string') return supplied;
          this.#enter(supplied);
          this.#phase = 'discardedEvents';
          break;
        }
        case 'discardedEvents':
          this.#phase = 'discardedPackets';
          if (this.#lose(messageKinds.discardedEvents, discardedEvents(this.#passage()), last))
            return 'message';
          break;
        case 'discardedPackets':
          this.#phase = 'packetBegin';
          if (this.#lose(messageKinds.discardedPackets, discardedPackets(this.#passage()), last))
            return 'message';
          break;
        case 'packetBegin':
          this.#phase = 'event';
          this.kind = messageKinds.packetBegin;
          this.#setTime(this.#packet?.beginCycles, last);
          return 'message';
        case 'event':
          return this.#nextEvent(last);
        case 'end':
          return 'end';
      }
    }
  }

  /**
   * Whether the fields of the event at hand pass the filter. They are decoded for it, and then once more when the event
   * is rendered.
   */
  passes(): boolean {
    if (this.#where === undefined) return true;
    const { cursor, event } = this;
    const { at } = cursor;
    const [low, high] = cursor.clock;
    const values: ScopeValues = { ...this.#packetValues };
    this.#guard(() => event?.values(cursor, values));
    cursor.at = at;
    cursor.clock[0] = low as number;
    cursor.clock[1] = high as number;
    return this.#where(values);
  }

  /** Renders the event at hand now, so that what is wrong with it shows before another stream goes on. */
  renderAside(wanted: boolean): void {
    this.asideWanted = wanted;
    const aside = this.#aside;
    aside.at = 0;
    aside.start = 0;
    this.#decode(aside, wanted);
    this.#isAside = true;
  }

  /** Decodes the event at hand, and writes it to `out` if it is wanted. Called once for each. */
  render(out: TextBuffer, wanted: boolean): void {
    if (!this.#isAside) {
      this.#decode(out, wanted);
      return;
    }
    if (wanted && this.asideWanted) out.at = out.append(this.#aside, out.at);
    this.#isAside = false;
  }

  #decode(out: TextBuffer, wanted: boolean): void {
    try {
      if (wanted) this.event?.render(this.cursor, out);
      else this.event?.skip(this.cursor, undefined);
    } catch (error) {
      throw this.#decodeError(error);
    }
  }

  #enter({ packet, bytes }: Supplied): void {
    const { cursor } = this;
    this.#before = this.#packet;
    this.#packet = packet;
    this.#eventAt = -1;
    cursor.enter(bytes, packet.contentBits);
    if (this.#isWatched && packet.endCycles !== undefined) this.#watch(packet.endCycles);
    const aside = this.#aside;
    aside.at = 0;
    aside.start = 0;
    this.#guard(() => this.code.packet(cursor, aside));
    cursor.packetText = aside.bytes.slice(0, aside.at);
    if (this.#where === undefined) return;
    const { at } = cursor;
    const [low, high] = cursor.clock;
    this.#packetValues = {};
    cursor.at = 0;
    this.#guard(() => this.code.packetValues(cursor, this.#packetValues));
    cursor.at = at;
    cursor.clock[0] = low as number;
    cursor.clock[1] = high as number;
  }

  #watch(endCycles: bigint): void {
    const end = this.#clock?.momentOf(endCycles);
    this.#endSeconds = end?.seconds ?? Number.POSITIVE_INFINITY;
    this.#endNanos = end?.nanos ?? 0;
  }

  #nextEvent(last: Moment): 'message' | 'end' {
    const { cursor, code } = this;
    const packet = this.#packet as Packet;
    if (cursor.at === cursor.contentBits) return this.#endPacket(last);
    if (cursor.at > cursor.contentBits)
      throw this.#error(`an event goes beyond the content, which ends at bit ${cursor.contentBits}`);
    const start = cursor.at;
    if (start === this.#eventAt) throw this.#error(`an event of no bits at bit ${start}, which never ends`);
    this.#eventAt = start;
    try {
      code.header(cursor, undefined);
      const event = code.event(cursor.idHigh, cursor.idLow);
      if (event === undefined) throw this.#error(this.#unknownEvent(start));
      this.event = event;
      this.kind = messageKinds.event;
      this.clockHigh = cursor.clock[1] as number;
      this.clockLow = cursor.clock[0] as number;
      if (this.#clock === undefined) this.#setTime(undefined, last);
      else {
        this.#clock.read(this.clockHigh, this.clockLow);
        this.seconds = this.#clock.seconds;
        this.nanos = this.#clock.nanos;
        const late = this.seconds - this.#endSeconds;
        if (late > 0 || (late === 0 && this.nanos > this.#endNanos))
          throw this.#error(`event at bit ${start}: later than the packet's end`);
      }
      if (packet.isOpen) this.#renderOpen(event);
    } catch (error) {
      // Where nothing says how long the packet is, the file's end is its end.
      if (packet.isOpen && error instanceof RangeError) {
        this.#phase = 'end';
        return 'end';
      }
      throw error instanceof MillraceError && error.code === 'MR_ERR_VIEW_PACKET'
        ? error
        : this.#decodeError(error);
    }
    return 'message';
  }

  #renderOpen(event: EventCode): void {
    const aside = this.#aside;
    aside.at = 0;
    aside.start = 0;
    this.asideWanted = event.wanted && this.passes();
    if (this.asideWanted) event.render(this.cursor, aside);
    else event.skip(this.cursor, undefined);
    this.#isAside = true;
  }

  /** Of an event that was rendered before its turn: whether it is to be shown. */
  asideWanted = false;

  get isAside(): boolean {
    return this.#isAside;
  }

  #unknownEvent(bit: number): string {
    const { idHigh, idLow } = this.cursor;
    const id = (BigInt(idHigh >>> 0) << 32n) | BigInt(idLow >>> 0);
    return `event at bit ${bit}: the metadata has no event class of id ${id} for stream class ${this.code.layout.stream.id}`;
  }

  #endPacket(last: Moment): 'message' {
    const packet = this.#packet as Packet;
    this.#phase = 'packet';
    this.kind = messageKinds.packetEnd;
    this.#setClock(packet);
    this.#setTime(packet.endCycles, last);
    return 'message';
  }

  #setClock({ endCycles }: Packet): void {
    if (endCycles === undefined) return;
    this.cursor.clock[0] = Number(endCycles & 0xffff_ffffn);
    this.cursor.clock[1] = Number((endCycles >> 32n) & 0xffff_ffffn);
  }

  #passage(): Passage {
    return { packet: this.#packet as Packet, before: this.#before, clock: this.#clock };
  }

  #lose(kind: MessageKind, loss: Loss | undefined, last: Moment): boolean {
    if (loss === undefined) return false;
    this.kind = kind;
    this.loss = loss;
    const { seconds, nanos } = loss.range?.begin ?? last;
    this.seconds = seconds;
    this.nanos = nanos;
    return true;
  }

  #setTime(cycles: bigint | undefined, last: Moment): void {
    const time = cycles === undefined || this.#clock === undefined ? last : this.#clock.momentOf(cycles);
    this.seconds = time.seconds;
    this.nanos = time.nanos;
  }

  #guard(decode: () => void): void {
    try {
      decode();
    } catch (error) {
      throw this.#decodeError(error);
    }
  }

  #decodeError(error: unknown): unknown {
    const known = decodeError(error, this.cursor);
    return known instanceof MillraceError ? this.#error(known.message, known) : known;
  }

  #error(reason: string, cause?: unknown): MillraceError {
    const packet = this.#packet as Packet;
    return packetError(packet.file.path, packet.offsetBytes, reason, cause);
  }
}
