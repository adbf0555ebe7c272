/** Writes protobuf messages from plain objects, as a table of fields says. Source: protobuf, "Encoding". */
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type MessageSchema, perfettoSchema, type ScalarType } from './schema.ts';

export type ProtoValue = number | bigint | boolean | string | ProtoMessage | readonly ProtoMessage[];

/** Fields by name; those that are undefined are not there. */
export interface ProtoMessage {
  readonly [field: string]: ProtoValue | undefined;
}

type MessageName = keyof typeof perfettoSchema;

const wireTypes = { varint: 0, fixed64: 1, lengthDelimited: 2 } as const;

/** The longest varint. */
const varintBytes = 10;

/** Where messages are gathered. `bytes` up to `at` are its own until it is emptied by setting `at` to 0. */
export class ProtoWriter {
  bytes = Buffer.allocUnsafe(16_384);
  at = 0;

  /** Appends a field that holds a message. Errors: MR_ERR_CTF_PACKET: it has more bytes than an event may have. */
  message(number: number, name: MessageName, message: ProtoMessage): void {
    this.#tag(number, wireTypes.lengthDelimited);
    // Most are short: one byte for the length, and where that is wrong, what was written moves.
    const start = this.at + 1;
    this.#room(1);
    this.at = start;
    const schema: MessageSchema = perfettoSchema[name];
    for (const field in message) {
      const value = message[field];
      const known = schema[field];
      if (value === undefined || known === undefined) continue;
      const [fieldNumber, type] = known;
      if (Array.isArray(value)) for (const each of value) this.#field(fieldNumber, type, each as ProtoValue);
      else this.#field(fieldNumber, type, value);
    }
    const length = this.at - start;
    if (length >= 128) {
      const more = varintSize(length) - 1;
      this.#room(more);
      this.bytes.copyWithin(start + more, start, this.at);
      this.at = start - 1;
      this.#varint(length);
      this.at += length;
    } else this.bytes[start - 1] = length;
  }

  #field(number: number, type: string, value: ProtoValue): void {
    switch (type as ScalarType) {
      case 'uint32':
      case 'uint64':
      case 'int32':
      case 'int64':
        this.#tag(number, wireTypes.varint);
        this.#integer(value as number | bigint);
        return;
      case 'bool':
        this.#tag(number, wireTypes.varint);
        this.#varint(value === true ? 1 : 0);
        return;
      case 'double':
        this.#tag(number, wireTypes.fixed64);
        this.#room(8);
        this.at = this.bytes.writeDoubleLE(value as number, this.at);
        return;
      case 'string': {
        // A lone surrogate becomes U+FFFD: protobuf knows no other text than UTF-8.
        const text = value as string;
        const length = Buffer.byteLength(text);
        this.#tag(number, wireTypes.lengthDelimited);
        this.#varint(length);
        this.#room(length);
        this.at += this.bytes.write(text, this.at);
        return;
      }
      default:
        this.message(number, type as MessageName, value as ProtoMessage);
    }
  }

  #tag(number: number, wireType: number): void {
    this.#varint(number * 8 + wireType);
  }

  /** What is negative has ten bytes, as 64 bits in two's complement. */
  #integer(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) this.#varint(value);
    else this.#wide(BigInt.asUintN(64, BigInt(value)));
  }

  /** `value`: a whole number that a double holds exactly. */
  #varint(value: number): void {
    this.#room(varintBytes);
    let rest = value;
    while (rest >= 128) {
      this.bytes[this.at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.at++] = rest;
  }

  /** The same for 64 bits: four groups of seven, and what is above them. */
  #wide(value: bigint): void {
    const above = Number(value >> 28n);
    const low = Number(value & 0xfff_ffffn);
    if (above === 0) {
      this.#varint(low);
      return;
    }
    this.#room(varintBytes);
    for (let shift = 0; shift < 28; shift += 7) this.bytes[this.at++] = ((low >> shift) & 127) + 128;
    this.#varint(above);
  }

  #room(more: number): void {
    const needed = this.at + more;
    if (needed <= this.bytes.length) return;
    if (needed > limits.eventTextBytes)
      throw new MillraceError('MR_ERR_CTF_PACKET', {
        why: `an event of more than ${limits.eventTextBytes} bytes of output`,
      });
    const bytes = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, needed));
    this.bytes.copy(bytes, 0, 0, this.at);
    this.bytes = bytes;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}
