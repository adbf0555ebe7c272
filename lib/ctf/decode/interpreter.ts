/**
 * Decodes by walking the layout, a field at a time, with big integers and without a thought for speed. It says what the
 * compiled functions must do: tests hold the two against each other. Source: ctf, "Encoding of fields".
 */
import { limits } from '../../limits.ts';
import { BitCursor } from '../bit-cursor.ts';
import type { IntegerType, Range } from '../field-types.ts';
import type { ScopeName } from '../roles.ts';
import { eventError } from './cursor.ts';
import type { Field, IntegerField, Slot, StructField, TextField } from './layout.ts';
import { leastBits } from './measure.ts';
import { runtime, unitBytes } from './runtime.ts';
import { type FieldStruct, type FieldValue, integerValue, textValue } from './values.ts';

/** The state of one data stream. Errors of all methods: MR_ERR_CTF_EVENT, MR_ERR_CTF_SHORT, MR_ERR_CTF_PACKET. */
export class Interpreter {
  readonly bits: BitCursor;
  clockCycles = 0n;
  eventId = 0n;
  readonly #bytes: Buffer;
  readonly #slots = new Map<Slot, bigint>();
  #emptyElements: number = limits.emptyElements;

  /** `packet`: all of it. */
  constructor(packet: Buffer) {
    this.#bytes = packet;
    this.bits = new BitCursor(packet);
  }

  /** The scope's structure, as far as it is shown; undefined: none of it is. */
  scope(_name: ScopeName, struct: StructField): FieldStruct | undefined {
    this.#emptyElements = limits.emptyElements;
    this.bits.forgetOrder();
    const value = this.#field(struct) as FieldStruct;
    return struct.shown ? value : undefined;
  }

  #field(field: Field): FieldValue {
    const { bits } = this;
    bits.align(field.alignBits);
    switch (field.kind) {
      case 'integer':
        return this.#integer(field);
      case 'float': {
        const { sizeBits, byteOrder } = field.float;
        const word = bits.integer({ ...plain, sizeBits, byteOrder });
        return runtime.float(sizeBits, Number(word & 0xffff_ffffn), Number(word >> 32n));
      }
      case 'string': {
        const start = bits.at / 8;
        const unit = unitBytes(field.encoding);
        const nul =
          unit === 1
            ? runtime.nul(this.#bytes, start, this.#bytes.length)
            : runtime.wideNul(this.#bytes, start, this.#bytes.length, unit);
        bits.skip((nul + unit - start) * 8);
        return textValue(this.#bytes, start, nul, field.encoding);
      }
      case 'text':
        return this.#text(field);
      case 'struct': {
        const struct: Record<string, FieldValue> = Object.create(null);
        for (const member of field.members) {
          const value = this.#field(member);
          if (member.shown) struct[member.name] = value;
        }
        return struct;
      }
      case 'array': {
        bits.align(field.element.alignBits);
        const length = this.#length(field.length);
        const least = leastBits(field.element);
        this.#need(length * least);
        if (least === 0) this.#emptyElements -= length;
        if (this.#emptyElements < 0) throw eventError(bits.at, 'too many elements that take no bits');
        return Array.from({ length }, () => this.#field(field.element));
      }
      case 'variant': {
        const tag = this.#recall(field.tag);
        const option = field.options.find(({ ranges }) => lies(tag, ranges));
        if (option === undefined) throw eventError(bits.at, `no option of a variant for its tag ${tag}`);
        return this.#field(option.field);
      }
      case 'optional': {
        const selector = this.#recall(field.selector);
        const isThere = field.ranges === undefined ? selector !== 0n : lies(selector, field.ranges);
        return isThere ? this.#field(field.field) : undefined;
      }
    }
  }

  #integer(field: IntegerField): FieldValue {
    const { integer, role, slot } = field;
    const start = this.bits.at;
    const value = this.bits.integer(integer);
    const sizeBits = integer.leb128 ? ((this.bits.at - start) / 8) * 7 : integer.sizeBits;
    if (integer.clock !== undefined && !integer.signed && role !== 'timestampEndCycles')
      this.#moveClock(value, sizeBits);
    if (role === 'eventId') this.eventId = value;
    if (slot !== undefined) this.#slots.set(slot, value);
    return integerValue(field, value);
  }

  #moveClock(value: bigint, sizeBits: number): void {
    const mask = (1n << BigInt(sizeBits)) - 1n;
    const base = value < (this.clockCycles & mask) ? this.clockCycles + mask + 1n : this.clockCycles;
    this.clockCycles = BigInt.asUintN(64, (base & ~mask) | value);
  }

  #text({ length, encoding }: TextField): string {
    const bytes = this.#length(length);
    this.#need(bytes * 8);
    const start = this.bits.at / 8;
    this.bits.skip(bytes * 8);
    return textValue(this.#bytes, start, start + bytes, encoding);
  }

  #length(length: number | Slot): number {
    return typeof length === 'number' ? length : Number(this.#recall(length));
  }

  #recall(slot: Slot): bigint {
    const value = this.#slots.get(slot);
    if (value === undefined) throw eventError(this.bits.at, 'a length or tag that was not there before');
    return value;
  }

  #need(bits: number): void {
    if (bits > this.#bytes.length * 8 - this.bits.at) throw new RangeError();
  }
}

const plain: IntegerType = {
  kind: 'integer',
  sizeBits: 8,
  alignBits: 1,
  signed: false,
  byteOrder: 'little',
  base: 10,
};

function lies(value: bigint, ranges: readonly Range[]): boolean {
  return ranges.some(({ low, high }) => low <= value && value <= high);
}
