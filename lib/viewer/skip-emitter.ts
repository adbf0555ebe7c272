/** Emitters that print nothing: one only finds out where fields end, the other reads them all. */
import type { Code } from '../ctf/decode/code.ts';
import type { Emitter, Words } from '../ctf/decode/emitter.ts';
import type { FloatField, IntegerField, StringField, TextField } from '../ctf/decode/layout.ts';
import { unitBytes } from '../ctf/decode/runtime.ts';

/** Reads every field, as printing would, and folds the values into one number so that no reading can be left out. */
export class FoldEmitter implements Emitter {
  readonly #code: Code;

  constructor(code: Code) {
    this.#code = code;
  }

  begin(): void {
    this.#code.line('let n = 0;');
  }

  end(): void {
    this.#code.line('c.folded ^= n;');
  }

  scope(): void {}
  open(): void {}
  close(): void {}
  member(): void {}
  element(): void {}
  option(): void {}
  absent(): void {}
  fork(): void {}
  join(): void {}

  integer(_field: IntegerField, { low, high }: Words): void {
    this.#code.line(high === undefined ? `n ^= ${low};` : `n ^= ${low} ^ ${high};`);
  }

  float(_field: FloatField, value: string): void {
    this.#code.line(`n ^= ${value};`);
  }

  string({ encoding }: StringField, start: string, end: string): string {
    const nul = this.#code.local();
    const unit = unitBytes(encoding);
    const call = unit === 1 ? `R.nul(r, ${start}, ${end})` : `R.wideNul(r, ${start}, ${end}, ${unit})`;
    this.#code.line(`const ${nul} = ${call}; n ^= ${nul};`);
    return nul;
  }

  text(_field: TextField, start: string, end: string): void {
    this.#code.line(`n ^= ${start} < ${end} ? r[${start}] : 0;`);
  }
}
