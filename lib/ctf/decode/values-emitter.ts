/** Compiles fields into values: a property of `out` for each scope that is shown. */
import type { ScopeName } from '../roles.ts';
import type { Code } from './code.ts';
import type { Emitter, Words } from './emitter.ts';
import type {
  ArrayField,
  Field,
  FloatField,
  IntegerField,
  StringField,
  StructField,
  TextField,
  VariantField,
} from './layout.ts';
import { unitBytes } from './runtime.ts';
import { type FieldStruct, integerValue, textValue } from './values.ts';

/** What compiled functions fill: scopes that are shown. */
export type ScopeValues = Partial<Record<ScopeName, FieldStruct>>;

function labeled(field: IntegerField, low: number, high: number | undefined): unknown {
  const word = high === undefined ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
  return integerValue(field, word);
}

function wide(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

export class ValuesEmitter implements Emitter {
  readonly #code: Code;
  /** Makes the statement that puts a value into its place. */
  #place: (value: string) => string = (value) => `${value};`;
  /** Structures that are open, by their names in the code. */
  readonly #structs: string[] = [];
  readonly #around: ((value: string) => string)[] = [];

  constructor(code: Code) {
    this.#code = code;
  }

  begin(): void {}
  end(): void {}
  fork(): void {}
  join(): void {}
  option(): void {}

  scope(name: ScopeName): void {
    this.#place = (value) => `o.${name} = ${value};`;
  }

  open(field: StructField | ArrayField | VariantField): void {
    this.#around.push(this.#place);
    if (field.kind === 'variant') return;
    const name = this.#code.local();
    this.#code.line(`const ${name} = ${field.kind === 'array' ? '[]' : '{ __proto__: null }'};`);
    this.#code.line(this.#place(name));
    this.#place = (value) => (field.kind === 'array' ? `${name}.push(${value});` : `${name} = ${value};`);
    if (field.kind === 'struct') this.#structs.push(name);
  }

  close(field: StructField | ArrayField | VariantField): void {
    if (field.kind === 'struct') this.#structs.pop();
    this.#place = this.#around.pop() as (value: string) => string;
  }

  member(field: Field): void {
    const struct = this.#structs.at(-1) as string;
    // The name is a constant of the function, not a part of its text.
    const key = this.#code.constant(field.name);
    this.#place = (value) => `${struct}[${key}] = ${value};`;
  }

  element(): void {}

  integer(field: IntegerField, { low, high }: Words): void {
    const { labels, integer } = field;
    if (labels !== undefined || integer.boolean) {
      const call = this.#code.constant(labeled);
      this.#put(`${call}(${this.#code.constant(field)}, ${low}, ${high ?? 'undefined'})`);
    } else this.#put(high === undefined ? low : `${this.#code.constant(wide)}(${high}, ${low})`);
  }

  float(_field: FloatField, value: string): void {
    this.#put(value);
  }

  string({ encoding }: StringField, start: string, end: string): string {
    const nul = this.#code.local();
    const unit = unitBytes(encoding);
    const find = unit === 1 ? `R.nul(r, ${start}, ${end})` : `R.wideNul(r, ${start}, ${end}, ${unit})`;
    this.#code.line(`const ${nul} = ${find};`);
    this.#text(encoding, start, nul);
    return nul;
  }

  text({ encoding }: TextField, start: string, end: string): void {
    this.#text(encoding, start, end);
  }

  absent(): void {
    this.#put('undefined');
  }

  #text(encoding: TextField['encoding'], start: string, end: string): void {
    this.#put(`${this.#code.constant(textValue)}(r, ${start}, ${end}, ${this.#code.constant(encoding)})`);
  }

  #put(value: string): void {
    this.#code.line(this.#place(value));
  }
}
