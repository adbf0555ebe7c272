/** Statements that read integers, floats, strings and text, and give them to the emitter where they are shown. */
import type { Coding } from './coding.ts';
import type { Words } from './emitter.ts';
import { checkOrder, moveClock, passBits, readBits } from './integer-code.ts';
import type { FloatField, IntegerField, StringField, TextField } from './layout.ts';
import { unitBytes } from './runtime.ts';

export function codeInteger(coding: Coding, field: IntegerField): void {
  const { code, emitter, slots } = coding;
  const { integer, role, slot } = field;
  const movesClock = integer.clock !== undefined && !integer.signed && role !== 'timestampEndCycles';
  const shown = coding.isShown(field);
  let words: Words | undefined;
  if (integer.leb128) {
    const result = code.local();
    code.line(`const ${result} = R.leb128(r, ${code.byte()}, ${integer.signed});`);
    words = { low: code.local(), high: code.local() };
    code.line(`const ${words.low} = ${result}.low, ${words.high} = ${result}.high;`);
    code.line(`b = ${result}.end * 8;`);
    code.know(8, 0);
    if (movesClock) moveClock(code, `${result}.bits`, words);
  } else {
    checkOrder(code, integer.byteOrder);
    if (shown || slot !== undefined || movesClock || role === 'eventId') words = readBits(code, integer);
    passBits(code, integer);
    if (movesClock && words !== undefined) moveClock(code, integer.sizeBits, words);
  }
  if (words === undefined) return;
  if (role === 'eventId') code.line(`c.idLow = ${words.low}; c.idHigh = ${words.high ?? '0'};`);
  if (slot !== undefined) slots.remember(slot, words);
  if (shown) emitter.integer(field, words);
}

export function codeFloat(coding: Coding, field: FloatField): void {
  const { code, emitter } = coding;
  const { sizeBits, byteOrder } = field.float;
  const bits = { sizeBits, byteOrder, signed: false };
  checkOrder(code, byteOrder);
  if (coding.isShown(field)) {
    const value = code.local();
    if (code.inByte === 0 && sizeBits !== 16)
      code.line(`const ${value} = v.getFloat${sizeBits}(${code.byte()}, ${byteOrder === 'little'});`);
    else {
      const { low, high } = readBits(code, bits);
      code.line(`const ${value} = R.float(${sizeBits}, ${low}, ${high ?? '0'});`);
    }
    emitter.float(field, value);
  }
  passBits(code, bits);
}

export function codeString(coding: Coding, field: StringField): void {
  const { code, emitter } = coding;
  const unit = unitBytes(field.encoding);
  const start = code.local();
  const end = code.local();
  code.line(`const ${start} = ${code.byte()}, ${end} = c.packetBits >>> 3;`);
  let nul: string;
  if (coding.isShown(field)) nul = emitter.string(field, start, end);
  else {
    nul = code.local();
    code.line(`const ${nul} = ${nulOf(unit, start, end)};`);
  }
  code.line(`b = (${nul} + ${unit}) * 8;`);
  code.know(8, 0);
}

export function codeText(coding: Coding, field: TextField): void {
  const { code, emitter, slots } = coding;
  code.settle();
  const length = slots.length(field.length);
  code.line(`R.checkLength(c, b, ${length} * 8);`);
  const start = code.local();
  const end = code.local();
  code.line(`const ${start} = b >>> 3, ${end} = ${start} + ${length};`);
  if (coding.isShown(field)) emitter.text(field, start, end);
  code.line(`b = ${end} * 8;`);
  code.know(8, 0);
}

function nulOf(unit: 1 | 2 | 4, start: string, end: string): string {
  return unit === 1 ? `R.nul(r, ${start}, ${end})` : `R.wideNul(r, ${start}, ${end}, ${unit})`;
}
