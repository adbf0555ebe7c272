/** Where the decoder of one data stream is: in which packet, at which bit, and what it remembers. */
import { MillraceError } from '../../errors.ts';

/** What compiled functions read and write. They are handed a packet at a time with `enter`. */
export class Cursor {
  /** The packet, from its first byte to its last. Borrowed until the next `enter`. */
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Bits from the start of the packet. */
  at = 0;
  packetBits = 0;
  /** Where events end: at `packetBits` or before. */
  contentBits = 0;
  /** The stream's clock, cycles: low and high word. Source: ctf, "Clocks and time". */
  readonly clock = new Uint32Array(2);
  /** The event class id that the last event header named: low and high word. */
  idLow = 0;
  idHigh = 0;
  /** Integers that other functions need, low and high word each; NaN: not decoded. */
  readonly shared: Float64Array;
  /** What the packet's context was rendered to, for every event of the packet. */
  packetText: Uint8Array = new Uint8Array(0);
  /** Takes up what a decoder that prints nothing has read. */
  folded = 0;

  constructor(sharedSlots: number) {
    this.shared = new Float64Array(sharedSlots * 2);
  }

  /** Goes to the beginning of a packet. The clock goes on from the packet before. */
  enter(bytes: Uint8Array, contentBits: number): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.packetBits = bytes.byteLength * 8;
    this.contentBits = contentBits;
    this.shared.fill(Number.NaN);
  }
}

/** An error in the fields of an event, a packet's header or its context. */
export function eventError(bit: number, why: string): MillraceError {
  return new MillraceError('MR_ERR_CTF_EVENT', { bit, why });
}

/** Something is longer than the rest of the packet. */
export class BeyondError extends RangeError {}

/** Reading behind the packet is a RangeError of the view; it is told as what it is. */
export function decodeError(error: unknown, cursor: Cursor): unknown {
  if (!(error instanceof RangeError)) return error;
  const why =
    error instanceof BeyondError
      ? error.message
      : `it goes beyond bit ${cursor.packetBits}, the packet's end`;
  return eventError(cursor.at, why);
}
