/** Labels of an enumeration by value, as bytes that are made once for each. */
import { bytesOfText } from '../../ctf/byte-text.ts';
import type { Range } from '../../ctf/field-types.ts';
import type { Paint } from './style.ts';
import { quotedBytes } from './text-buffer.ts';

/** Values whose text is kept at hand. */
const mostKept = 4096;

type Labels = readonly ({ label: string } & Range)[];

export abstract class LabelTable {
  readonly #labels: Labels;
  readonly #signed: boolean;
  readonly #kept = new Map<number, Uint8Array>();

  constructor(labels: Labels, signed: boolean) {
    this.#labels = labels;
    this.#signed = signed;
  }

  /** `labels`: those whose ranges hold the value, in the order of the metadata. */
  protected abstract bytesOf(labels: readonly string[]): Uint8Array;

  /** `high` is undefined where `low` is all there is, with its sign. */
  of(low: number, high: number | undefined): Uint8Array {
    const key = high === undefined || high === 0 ? low : undefined;
    const kept = key === undefined ? undefined : this.#kept.get(key);
    if (kept !== undefined) return kept;
    const value = this.#valueOf(low, high);
    const labels = this.#labels.filter((range) => range.low <= value && value <= range.high);
    const bytes = this.bytesOf([...new Set(labels.map(({ label }) => label))]);
    if (key !== undefined && this.#kept.size < mostKept) this.#kept.set(key, bytes);
    return bytes;
  }

  #valueOf(low: number, high: number | undefined): bigint {
    if (high === undefined) return BigInt(low);
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low);
    return this.#signed ? BigInt.asIntN(64, value) : value;
  }
}

/** What stands before the number in text: `( "A", "B" : container = `. */
export class EnumText extends LabelTable {
  readonly #paint: Paint;

  constructor(labels: Labels, signed: boolean, paint: Paint) {
    super(labels, signed);
    this.#paint = paint;
  }

  protected override bytesOf(labels: readonly string[]): Uint8Array {
    const { value, unknown, reset } = this.#paint;
    const texts = labels.map(
      (label) => `${value}${Buffer.from(quotedBytes(bytesOfText(label))).toString('latin1')}${reset}`,
    );
    const shown = texts.length === 0 ? `${unknown}<unknown>${reset}` : texts.join(', ');
    return Buffer.from(`( ${shown} : container = `, 'latin1');
  }
}
