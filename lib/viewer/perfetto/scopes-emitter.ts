/** Compiles an event's scopes into values that go to a function of their own, whatever the decoder writes to. */
import type { Code } from '../../ctf/decode/code.ts';
import type { Cursor } from '../../ctf/decode/cursor.ts';
import type { FloatField } from '../../ctf/decode/layout.ts';
import { type ScopeValues, ValuesEmitter } from '../../ctf/decode/values-emitter.ts';
import type { TextBuffer } from '../text/text-buffer.ts';

/** A floating point number: a whole one looks like an integer otherwise. */
export class Real {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** Takes the values of a packet or an event. `cursor` is the stream's: one for all its packets and events. */
export type TakeScopes = (out: TextBuffer, cursor: Cursor, scopes: ScopeValues) => void;

export class ScopesEmitter extends ValuesEmitter {
  readonly #code: Code;
  readonly #take: TakeScopes;

  constructor(code: Code, take: TakeScopes) {
    super(code);
    this.#code = code;
    this.#take = take;
  }

  override begin(): void {
    this.#code.line('const line = o; o = {};');
  }

  override end(): void {
    this.#code.line(`${this.#code.constant(this.#take)}(line, c, o);`);
  }

  override float(field: FloatField, value: string): void {
    super.float(field, `new ${this.#code.constant(Real)}(${value})`);
  }
}
