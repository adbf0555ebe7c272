/** Statements that read integers and floating point numbers of any size from any bit. Source: ctf, "Encoding of fields". */
import type { ByteOrder, IntegerType } from '../field-types.ts';
import type { Code } from './code.ts';
import type { Words } from './emitter.ts';

/** What is read: an integer, or the bits of a floating point number. */
export type Bits = Pick<IntegerType, 'sizeBits' | 'byteOrder' | 'signed'>;

const orderNumber = { little: 1, big: 2 } as const;

/**
 * A field of one byte order must not begin inside a byte in which one of the other ended. Called at each number,
 * whether it is read or passed over.
 */
export function checkOrder(code: Code, byteOrder: ByteOrder): void {
  const { order } = code.position;
  if (code.inByte === 0 || order === undefined || order === byteOrder) return;
  const inByte = code.inByte === undefined ? `(${code.bit()} & 7) !== 0` : 'true';
  const other = order === 'varies' ? ` && q !== 0 && q !== ${orderNumber[byteOrder]}` : '';
  code.line(`if (${inByte}${other}) R.fail(${code.bit()}, 'the byte order changes inside a byte');`);
}

/** Goes behind a number. */
export function passBits(code: Code, { sizeBits, byteOrder }: Bits): void {
  code.skip(sizeBits);
  code.position.order = byteOrder;
  if (code.inByte !== 0) code.line(`q = ${orderNumber[byteOrder]};`);
}

/** Statements that read a number at the position, which stays. */
export function readBits(code: Code, bits: Bits): Words {
  const { sizeBits, signed, byteOrder } = bits;
  if (sizeBits <= 32) return { low: declare(code, signedOf(code, bits)), high: undefined };
  const highBits = sizeBits - 32;
  const [lowAt, highAt] = byteOrder === 'little' ? [0, 32] : [highBits, 0];
  const low = declare(code, unsignedAt(code, lowAt, 32, byteOrder));
  const high = unsignedAt(code, highAt, highBits, byteOrder);
  return { low, high: declare(code, signed ? extended(high, highBits) : high) };
}

function declare(code: Code, expression: string): string {
  const name = code.local();
  code.line(`const ${name} = ${expression};`);
  return name;
}

function signedOf(code: Code, { sizeBits, signed, byteOrder }: Bits): string {
  if (!signed) return unsignedAt(code, 0, sizeBits, byteOrder);
  if (code.inByte === 0 && (sizeBits === 8 || sizeBits === 16 || sizeBits === 32))
    return `v.getInt${sizeBits}(${code.byte()}, ${byteOrder === 'little'})`;
  return extended(unsignedAt(code, 0, sizeBits, byteOrder), sizeBits);
}

function extended(expression: string, sizeBits: number): string {
  return sizeBits === 32
    ? `(${expression} | 0)`
    : `((${expression} << ${32 - sizeBits}) >> ${32 - sizeBits})`;
}

/** An unsigned integer of at most 32 bits, some bits ahead of the position. */
function unsignedAt(code: Code, ahead: number, sizeBits: number, byteOrder: ByteOrder): string {
  const inByte = code.inByte === undefined ? undefined : (code.inByte + ahead) % 8;
  if (inByte === undefined || inByte + sizeBits > 32)
    return `R.${byteOrder}(r, ${code.bit()} + ${ahead}, ${sizeBits})`;
  const bytes = Math.ceil((inByte + sizeBits) / 8);
  const at = code.byte(ahead - inByte);
  const word = wordAt(at, bytes, byteOrder === 'little');
  const shift = byteOrder === 'little' ? inByte : bytes * 8 - inByte - sizeBits;
  if (shift === 0 && sizeBits === bytes * 8) return word;
  return `((${word} >>> ${shift}) & ${2 ** sizeBits - 1})`;
}

/** As many bytes as there are, no more: the packet may end behind them. */
function wordAt(at: string, bytes: number, little: boolean): string {
  if (bytes === 1) return `v.getUint8(${at})`;
  if (bytes === 2) return `v.getUint16(${at}, ${little})`;
  if (bytes === 4) return `v.getUint32(${at}, ${little})`;
  return little
    ? `(v.getUint16(${at}, true) | (v.getUint8(${at} + 2) << 16))`
    : `((v.getUint16(${at}, false) << 8) | v.getUint8(${at} + 2))`;
}

/** Moves the stream's clock to what a mapped field shows. Source: ctf, "Clocks and time". */
export function moveClock(code: Code, sizeBits: number | string, { low, high }: Words): void {
  if (sizeBits === 64) code.line(`C[0] = ${low}; C[1] = ${high};`);
  else if (sizeBits === 32) code.line(`if (${low} < C[0]) C[1] += 1; C[0] = ${low};`);
  else if (typeof sizeBits === 'number' && sizeBits < 32) {
    const size = 2 ** sizeBits;
    const base = code.local();
    code.line(`const ${base} = C[0];`);
    code.line(`C[0] = (${base} & ${~(size - 1)}) | ${low};`);
    code.line(
      `if (${low} < (${base} & ${size - 1})) { if (${base} > ${2 ** 32 - 1 - size}) C[1] += 1; C[0] += ${size}; }`,
    );
  } else code.line(`R.moveClock(C, ${sizeBits}, ${low}, ${high ?? '0'});`);
}
