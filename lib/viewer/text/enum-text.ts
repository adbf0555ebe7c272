/** What stands before the number of an enumeration: `( "A", "B" : container = `, by value. */
import { bytesOfText } from '../../ctf/byte-text.ts';
import type { Range } from '../../ctf/field-types.ts';
import type { Paint } from './style.ts';
import { quotedBytes } from './text-buffer.ts';

/** Values whose text is kept at hand. */
const mostKept = 4096;

export class EnumText {
  readonly #labels: readonly ({ label: string } & Range)[];
  readonly #signed: boolean;
  readonly #paint: Paint;
  readonly #kept = new Map<number, Uint8Array>();

  constructor(labels: readonly ({ label: string } & Range)[], signed: boolean, paint: Paint) {
    this.#labels = labels;
    this.#signed = signed;
    this.#paint = paint;
  }

  /** `high` is undefined where `low` is all there is, with its sign. */
  of(low: number, high: number | undefined): Uint8Array {
    const key = high === undefined || high === 0 ? low : undefined;
    const kept = key === undefined ? undefined : this.#kept.get(key);
    if (kept !== undefined) return kept;
    const text = this.#textOf(this.#valueOf(low, high));
    if (key !== undefined && this.#kept.size < mostKept) this.#kept.set(key, text);
    return text;
  }

  #valueOf(low: number, high: number | undefined): bigint {
    if (high === undefined) return BigInt(low);
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low);
    return this.#signed ? BigInt.asIntN(64, value) : value;
  }

  #textOf(value: bigint): Uint8Array {
    const { value: paint, unknown, reset } = this.#paint;
    const labels = new Set(
      this.#labels.filter(({ low, high }) => low <= value && value <= high).map(({ label }) => label),
    );
    const texts =
      labels.size === 0
        ? [`${unknown}<unknown>${reset}`]
        : [...labels].map(
            (label) => `${paint}${Buffer.from(quotedBytes(bytesOfText(label))).toString('latin1')}${reset}`,
          );
    return Buffer.from(`( ${texts.join(', ')} : container = `, 'latin1');
  }
}
