/**
 * Compiles the layout of a stream class to JavaScript functions, so that decoding is straight-line code: positions
 * that are known are constants, what nobody needs is not read. What the functions do with the fields is an emitter's
 * matter. Source: ctf, "Encoding of fields", "Packets".
 */
import { limits } from '../../limits.ts';
import { aligned, fixedSizeBits, type Range } from '../field-types.ts';
import type { ScopeName } from '../roles.ts';
import { Code, meet, type Position } from './code.ts';
import type { Cursor } from './cursor.ts';
import type { Emitter, MakeEmitter, Words } from './emitter.ts';
import { checkOrder, moveClock, passBits, readBits } from './integer-code.ts';
import {
  type ArrayField,
  type EventLayout,
  type Field,
  type FloatField,
  type IntegerField,
  type OptionalField,
  type Slot,
  type StreamLayout,
  type StringField,
  type StructField,
  stepOf,
  type TextField,
  type VariantField,
} from './layout.ts';
import { hasEffects, leastBits } from './measure.ts';
import { runtime, unitBytes } from './runtime.ts';

/** Decodes from where the cursor is, and leaves it behind the last field. `out`: what the emitter's code writes to. */
export type Decode<Out> = (cursor: Cursor, out: Out) => void;

interface Part {
  scope: ScopeName;
  struct: StructField | undefined;
}

/** A packet's header and context, from its first bit on. */
export function compilePacket<Out>(layout: StreamLayout, make: MakeEmitter): Decode<Out> {
  return compile(make, [
    { scope: 'packetHeader', struct: layout.packetHeader },
    { scope: 'packetContext', struct: layout.packetContext },
  ]);
}

/** The header of an event: leaves its id, and the time, with the cursor. */
export function compileHeader(layout: StreamLayout, make: MakeEmitter): Decode<undefined> {
  return compile(make, [{ scope: 'eventHeader', struct: layout.eventHeader }]);
}

/** What comes behind the header of an event. */
export function compileBody<Out>(layout: StreamLayout, event: EventLayout, make: MakeEmitter): Decode<Out> {
  return compile(make, [
    { scope: 'eventCommonContext', struct: layout.eventContext },
    { scope: 'eventContext', struct: event.context },
    { scope: 'eventPayload', struct: event.payload },
  ]);
}

function compile<Out>(make: MakeEmitter, parts: readonly Part[]): Decode<Out> {
  const code = new Code();
  const locals = code.reserve();
  const coder = new FieldCoder(code, make(code), parts[0]?.scope ?? 'eventPayload');
  coder.parts(parts);
  locals(`let b = c.at, q = 0, z = ${limits.emptyElements}; const v = c.view, r = c.bytes, C = c.clock, S = c.shared;
${coder.slotNames.map((slot) => slot.declaration).join('\n')}`);
  const constants = code.constants.map((_, i) => `const k${i} = K[${i}];`).join('\n');
  const text = `'use strict';\n${constants}\nreturn function (c, o) {\n${code.text()}\n};`;
  // The text is made of literals of this room and numbers, see `code.ts`; metadata is in the constants.
  // oxlint-disable-next-line no-implied-eval, no-new-func
  return new Function('K', 'R', text)(code.constants, runtime) as Decode<Out>;
}

class FieldCoder {
  readonly slotNames: { declaration: string }[] = [];
  readonly #code: Code;
  readonly #emitter: Emitter;
  readonly #step: ReturnType<typeof stepOf>;
  readonly #slots = new Map<Slot, string>();
  /** What is shown of a scope that is shown at all. */
  #emitting = false;

  constructor(code: Code, emitter: Emitter, scope: ScopeName) {
    this.#code = code;
    this.#emitter = emitter;
    this.#step = stepOf(scope);
    // Events begin anywhere.
    if (this.#step !== 'packet') code.know(1, 0);
  }

  parts(parts: readonly Part[]): void {
    const code = this.#code;
    this.#emitter.begin();
    for (const { scope, struct } of parts) {
      if (struct === undefined) continue;
      code.position.order = undefined;
      code.line('q = 0;');
      this.#emitting = struct.shown && scope !== 'packetHeader' && scope !== 'eventHeader';
      if (this.#emitting) this.#emitter.scope(scope);
      this.#field(struct);
    }
    code.settle();
    code.line('if (b > c.packetBits) R.beyond();');
    this.#emitter.end();
    code.line('c.at = b;');
  }

  #isShown(field: Field): boolean {
    return this.#emitting && field.shown;
  }

  #field(field: Field): void {
    this.#code.align(field.alignBits);
    if (!this.#isShown(field) && !hasEffects(field)) {
      const size = fixedSizeBits(field.type);
      if (size !== undefined && size < 2 ** 30 && field.kind !== 'integer' && field.kind !== 'float') {
        this.#code.skip(size);
        return;
      }
    }
    switch (field.kind) {
      case 'integer':
        this.#integer(field);
        return;
      case 'float':
        this.#float(field);
        return;
      case 'string':
        this.#string(field);
        return;
      case 'text':
        this.#text(field);
        return;
      case 'struct':
        this.#struct(field);
        return;
      case 'array':
        this.#array(field);
        return;
      case 'variant':
        this.#variant(field);
        return;
      case 'optional':
        this.#optional(field);
    }
  }

  #integer(field: IntegerField): void {
    const code = this.#code;
    const { integer, role, slot } = field;
    const movesClock = integer.clock !== undefined && !integer.signed && role !== 'timestampEndCycles';
    const shown = this.#isShown(field);
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
    if (slot !== undefined) this.#remember(slot, words);
    if (shown) this.#emitter.integer(field, words);
  }

  #remember(slot: Slot, { low, high }: Words): void {
    const name = this.#slotName(slot);
    this.#code.line(`${name}l = ${low}; ${name}h = ${high ?? '0'};`);
    if (slot.shared === undefined) return;
    this.#code.line(`S[${slot.shared * 2}] = ${low}; S[${slot.shared * 2 + 1}] = ${high ?? '0'};`);
  }

  #slotName(slot: Slot): string {
    let name = this.#slots.get(slot);
    if (name === undefined) {
      name = `t${this.#slots.size}`;
      this.#slots.set(slot, name);
      const start = slot.conditional ? 'NaN' : '0';
      const forget = slot.conditional && slot.shared !== undefined ? ` S[${slot.shared * 2}] = NaN;` : '';
      this.slotNames.push({ declaration: `let ${name}l = ${start}, ${name}h = 0;${forget}` });
    }
    return name;
  }

  /** The words of a slot, in variables of their own. */
  #recall(slot: Slot): { low: string; high: string } {
    const code = this.#code;
    const low = code.local();
    const high = code.local();
    const isOwn = stepOf(slot.scope) === this.#step;
    const name = isOwn ? this.#slotName(slot) : '';
    const at = (slot.shared ?? 0) * 2;
    code.line(
      `const ${low} = ${isOwn ? `${name}l` : `S[${at}]`}, ${high} = ${isOwn ? `${name}h` : `S[${at + 1}]`};`,
    );
    if (slot.conditional || !isOwn)
      code.line(`if (${low} !== ${low}) R.fail(${code.bit()}, 'a length or tag that was not there before');`);
    return { low, high };
  }

  #length(length: number | Slot): string {
    if (typeof length === 'number') return String(length);
    const { low, high } = this.#recall(length);
    return length.field.integer.sizeBits > 32 ? `(${high} * 4294967296 + ${low})` : low;
  }

  #float(field: FloatField): void {
    const code = this.#code;
    const { sizeBits, byteOrder } = field.float;
    const bits = { sizeBits, byteOrder, signed: false };
    checkOrder(code, byteOrder);
    if (this.#isShown(field)) {
      const value = code.local();
      if (code.inByte === 0 && sizeBits !== 16)
        code.line(`const ${value} = v.getFloat${sizeBits}(${code.byte()}, ${byteOrder === 'little'});`);
      else {
        const { low, high } = readBits(code, bits);
        code.line(`const ${value} = R.float(${sizeBits}, ${low}, ${high ?? '0'});`);
      }
      this.#emitter.float(field, value);
    }
    passBits(code, bits);
  }

  #string(field: StringField): void {
    const code = this.#code;
    const unit = unitBytes(field.encoding);
    const start = code.local();
    const end = code.local();
    code.line(`const ${start} = ${code.byte()}, ${end} = c.packetBits >>> 3;`);
    let nul: string;
    if (this.#isShown(field)) nul = this.#emitter.string(field, start, end);
    else {
      nul = code.local();
      code.line(`const ${nul} = ${nulOf(unit, start, end)};`);
    }
    code.line(`b = (${nul} + ${unit}) * 8;`);
    code.know(8, 0);
  }

  #text(field: TextField): void {
    const code = this.#code;
    code.settle();
    const length = this.#length(field.length);
    code.line(`R.checkLength(c, b, ${length} * 8);`);
    const start = code.local();
    const end = code.local();
    code.line(`const ${start} = b >>> 3, ${end} = ${start} + ${length};`);
    if (this.#isShown(field)) this.#emitter.text(field, start, end);
    code.line(`b = ${end} * 8;`);
    code.know(8, 0);
  }

  #struct(field: StructField): void {
    const shown = this.#isShown(field);
    if (shown) this.#emitter.open(field);
    let isFirst = true;
    for (const member of field.members) {
      if (this.#isShown(member)) {
        this.#emitter.member(member, isFirst);
        isFirst = false;
      }
      this.#field(member);
    }
    if (shown) this.#emitter.close(field);
  }

  #array(field: ArrayField): void {
    const code = this.#code;
    const { element } = field;
    const shown = this.#isShown(field);
    code.align(element.alignBits);
    code.settle();
    const length = this.#length(field.length);
    const least = leastBits(element);
    code.line(`R.checkLength(c, b, ${length} * ${least});`);
    if (least === 0) code.line(`if ((z -= ${length}) < 0) R.fail(b, 'too many elements that take no bits');`);
    if (shown) {
      this.#emitter.open(field);
      this.#emitter.fork();
    }
    const around = this.#inLoop(element);
    const index = code.local();
    code.line(`for (let ${index} = 0; ${index} < ${length}; ${index}++) {`);
    if (shown) {
      this.#emitter.join();
      this.#emitter.element(index);
    }
    this.#field(element);
    code.settle();
    if (shown) this.#emitter.fork();
    code.line('}');
    code.position = { ...around };
    if (shown) {
      this.#emitter.join();
      this.#emitter.close(field);
    }
  }

  /** What is known at the beginning of every round, and behind the last. */
  #inLoop(element: Field): Position {
    const code = this.#code;
    const { order, modulus, rest } = code.position;
    if (order === 'little' || order === 'big') code.line(`q = ${order === 'little' ? 1 : 2};`);
    const size = fixedSizeBits(element.type);
    const stride = size === undefined ? 0 : aligned(size, element.alignBits);
    if (size !== undefined && size === stride && size > 0 && size < 2 ** 30) {
      const known = Math.min(modulus, size & -size);
      code.know(known, rest % known);
    } else if (size !== 0) code.know(element.kind === 'string' || element.kind === 'text' ? 8 : 1, 0);
    code.position.order = 'varies';
    return { ...code.position };
  }

  #variant(field: VariantField): void {
    const code = this.#code;
    const shown = this.#isShown(field);
    code.settle();
    const { low, high } = this.#recall(field.tag);
    const { sizeBits, signed } = field.tag.field.integer;
    let condition = (ranges: readonly Range[], _option: number): string => within(low, ranges);
    if (sizeBits > 32) {
      const picked = code.local();
      const ranges = code.constant(field.options.map((option) => option.ranges));
      code.line(`const ${picked} = R.pick(${ranges}, ${signed}, ${low}, ${high});`);
      condition = (_ranges, option) => `${picked} === ${option}`;
    }
    if (shown) this.#emitter.open(field);
    this.#branches(
      field.options.map((option, i) => ({
        condition: condition(option.ranges, i),
        run: () => {
          if (shown) this.#emitter.option(option.field);
          this.#field(option.field);
        },
      })),
      shown,
      () => {
        const tag = sizeBits > 32 ? '' : ` + ${low}`;
        code.line(`R.fail(b, 'no option of a variant for its tag'${tag === '' ? '' : ` + ' '${tag}`});`);
        return false;
      },
    );
    if (shown) this.#emitter.close(field);
  }

  #optional(field: OptionalField): void {
    const code = this.#code;
    const shown = this.#isShown(field);
    code.settle();
    const { low, high } = this.#recall(field.selector);
    const { sizeBits, signed } = field.selector.field.integer;
    const { ranges } = field;
    let condition: string;
    if (ranges === undefined) condition = `${low} !== 0 || ${high} !== 0`;
    else if (sizeBits > 32)
      condition = `R.pick(${code.constant([ranges])}, ${signed}, ${low}, ${high}) === 0`;
    else condition = within(low, ranges);
    this.#branches([{ condition, run: () => this.#field(field.field) }], shown, () => {
      if (shown) this.#emitter.absent(field);
      return true;
    });
  }

  /** One of several ways, or the last one, which says whether it comes back. */
  #branches(
    ways: readonly { condition: string; run: () => void }[],
    shown: boolean,
    last: () => boolean,
  ): void {
    const code = this.#code;
    if (shown) this.#emitter.fork();
    const before = { ...code.position };
    let after: Position | undefined;
    const leave = (): void => {
      code.settle();
      if (shown) this.#emitter.fork();
      after = after === undefined ? { ...code.position } : meet(after, code.position);
    };
    for (const { condition, run } of ways) {
      code.line(`if (${condition}) {`);
      code.position = { ...before };
      run();
      leave();
      code.line('} else ');
    }
    code.line('{');
    code.position = { ...before };
    if (last()) leave();
    code.line('}');
    code.position = after ?? before;
    if (shown) this.#emitter.join();
  }
}

function nulOf(unit: 1 | 2 | 4, start: string, end: string): string {
  return unit === 1 ? `R.nul(r, ${start}, ${end})` : `R.wideNul(r, ${start}, ${end}, ${unit})`;
}

/** A tag of at most 32 bits, in one of the ranges. */
function within(low: string, ranges: readonly Range[]): string {
  const tests = ranges.map((range) =>
    range.low === range.high
      ? `${low} === ${Number(range.low)}`
      : `(${low} >= ${Number(range.low)} && ${low} <= ${Number(range.high)})`,
  );
  return tests.length === 0 ? 'false' : tests.join(' || ');
}
