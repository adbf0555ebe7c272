/** Statements that walk structures, arrays, and fields that may be one thing or another. */
import { aligned, fixedSizeBits, type Range } from '../field-types.ts';
import { type Code, meet, type Position } from './code.ts';
import type { Coding } from './coding.ts';
import type { ArrayField, Field, OptionalField, StructField, VariantField } from './layout.ts';
import { leastBits } from './measure.ts';

export function codeStruct(coding: Coding, field: StructField): void {
  const { emitter } = coding;
  const shown = coding.isShown(field);
  if (shown) emitter.open(field);
  let isFirst = true;
  for (const member of field.members) {
    if (coding.isShown(member)) {
      emitter.member(member, isFirst);
      isFirst = false;
    }
    coding.field(member);
  }
  if (shown) emitter.close(field);
}

export function codeArray(coding: Coding, field: ArrayField): void {
  const { code, emitter, slots } = coding;
  const { element } = field;
  const shown = coding.isShown(field);
  code.align(element.alignBits);
  code.settle();
  const length = slots.length(field.length);
  const least = leastBits(element);
  code.line(`R.checkLength(c, b, ${length} * ${least});`);
  if (least === 0) code.line(`if ((z -= ${length}) < 0) R.fail(b, 'too many elements that take no bits');`);
  if (shown) {
    emitter.open(field);
    emitter.fork();
  }
  const around = inLoop(code, element);
  const index = code.local();
  code.line(`for (let ${index} = 0; ${index} < ${length}; ${index}++) {`);
  if (shown) {
    emitter.join();
    emitter.element(index);
  }
  coding.field(element);
  code.settle();
  if (shown) emitter.fork();
  code.line('}');
  code.position = { ...around };
  if (shown) {
    emitter.join();
    emitter.close(field);
  }
}

/** What is known at the beginning of every round, and behind the last. */
function inLoop(code: Code, element: Field): Position {
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

export function codeVariant(coding: Coding, field: VariantField): void {
  const { code, emitter, slots } = coding;
  const shown = coding.isShown(field);
  code.settle();
  const { low, high } = slots.recall(field.tag);
  const { sizeBits, signed } = field.tag.field.integer;
  let condition = (ranges: readonly Range[], _option: number): string => within(low, ranges);
  if (sizeBits > 32) {
    const picked = code.local();
    const ranges = code.constant(field.options.map((option) => option.ranges));
    code.line(`const ${picked} = R.pick(${ranges}, ${signed}, ${low}, ${high});`);
    condition = (_ranges, option) => `${picked} === ${option}`;
  }
  if (shown) emitter.open(field);
  branches(
    coding,
    field.options.map((option, i) => ({
      condition: condition(option.ranges, i),
      run: () => {
        if (shown) emitter.option(option.field);
        coding.field(option.field);
      },
    })),
    shown,
    () => {
      const tag = sizeBits > 32 ? '' : ` + ${low}`;
      code.line(`R.fail(b, 'no option of a variant for its tag'${tag === '' ? '' : ` + ' '${tag}`});`);
      return false;
    },
  );
  if (shown) emitter.close(field);
}

export function codeOptional(coding: Coding, field: OptionalField): void {
  const { code, emitter, slots } = coding;
  const shown = coding.isShown(field);
  code.settle();
  const { low, high } = slots.recall(field.selector);
  const { sizeBits, signed } = field.selector.field.integer;
  const { ranges } = field;
  let condition: string;
  if (ranges === undefined) condition = `${low} !== 0 || ${high} !== 0`;
  else if (sizeBits > 32) condition = `R.pick(${code.constant([ranges])}, ${signed}, ${low}, ${high}) === 0`;
  else condition = within(low, ranges);
  branches(coding, [{ condition, run: () => coding.field(field.field) }], shown, () => {
    if (shown) emitter.absent(field);
    return true;
  });
}

/** One of several ways, or the last one, which says whether it comes back. */
function branches(
  coding: Coding,
  ways: readonly { condition: string; run: () => void }[],
  shown: boolean,
  last: () => boolean,
): void {
  const { code, emitter } = coding;
  if (shown) emitter.fork();
  const before = { ...code.position };
  let after: Position | undefined;
  const leave = (): void => {
    code.settle();
    if (shown) emitter.fork();
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
  if (shown) emitter.join();
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
