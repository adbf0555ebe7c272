/** Integers that lengths and tags depend on, in variables of the compiled function and, for later ones, with the cursor. */
import type { Code } from './code.ts';
import type { Words } from './emitter.ts';
import { type Slot, stepOf } from './layout.ts';

export class SlotCode {
  readonly #code: Code;
  readonly #step: ReturnType<typeof stepOf>;
  readonly #names = new Map<Slot, string>();
  readonly #declarations: string[] = [];

  constructor(code: Code, step: ReturnType<typeof stepOf>) {
    this.#code = code;
    this.#step = step;
  }

  /** Statements for the beginning of the function. */
  get declarations(): string {
    return this.#declarations.join('\n');
  }

  /** The integer was read: later lengths or tags need it. */
  remember(slot: Slot, { low, high }: Words): void {
    const name = this.#nameOf(slot);
    this.#code.line(`${name}l = ${low}; ${name}h = ${high ?? '0'};`);
    if (slot.shared === undefined) return;
    this.#code.line(`S[${slot.shared * 2}] = ${low}; S[${slot.shared * 2 + 1}] = ${high ?? '0'};`);
  }

  #nameOf(slot: Slot): string {
    let name = this.#names.get(slot);
    if (name === undefined) {
      name = `t${this.#names.size}`;
      this.#names.set(slot, name);
      const start = slot.conditional ? 'NaN' : '0';
      const forget = slot.conditional && slot.shared !== undefined ? ` S[${slot.shared * 2}] = NaN;` : '';
      this.#declarations.push(`let ${name}l = ${start}, ${name}h = 0;${forget}`);
    }
    return name;
  }

  /** The words of a slot, in variables of their own. */
  recall(slot: Slot): { low: string; high: string } {
    const code = this.#code;
    const low = code.local();
    const high = code.local();
    const isOwn = stepOf(slot.scope) === this.#step;
    const name = isOwn ? this.#nameOf(slot) : '';
    const at = (slot.shared ?? 0) * 2;
    code.line(
      `const ${low} = ${isOwn ? `${name}l` : `S[${at}]`}, ${high} = ${isOwn ? `${name}h` : `S[${at + 1}]`};`,
    );
    if (slot.conditional || !isOwn)
      code.line(`if (${low} !== ${low}) R.fail(${code.bit()}, 'a length or tag that was not there before');`);
    return { low, high };
  }

  length(length: number | Slot): string {
    if (typeof length === 'number') return String(length);
    const { low, high } = this.recall(length);
    return length.field.integer.sizeBits > 32 ? `(${high} * 4294967296 + ${low})` : low;
  }
}
