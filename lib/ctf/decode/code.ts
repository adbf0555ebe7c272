/**
 * The text of a compiled function while it is written, and what is known of the position in the packet at each place
 * of it. Text is made of literals of this program, numbers, and names that `local` and `constant` give out: whatever
 * comes from metadata goes in as a constant, by its number, and never as text.
 */

/** The position is `b + ahead`, and `b` leaves the remainder `rest` when divided by `modulus`, a power of two. */
export interface Position {
  modulus: number;
  rest: number;
  ahead: number;
  /** Byte order of the integer that ends in mid-byte here; undefined: none, or at a byte; -1: it depends. */
  order: 'little' | 'big' | 'varies' | undefined;
}

const most = 2 ** 30;

export class Code {
  readonly #lines: string[] = [];
  readonly constants: unknown[] = [];
  readonly #known = new Map<unknown, number>();
  #locals = 0;
  position: Position = { modulus: 8, rest: 0, ahead: 0, order: undefined };

  line(text: string): void {
    this.#lines.push(text);
  }

  /** A line to be filled in later: what it needs is not known yet. */
  reserve(): (text: string) => void {
    const at = this.#lines.push('') - 1;
    return (text) => {
      this.#lines[at] = text;
    };
  }

  /** A new name for a variable. */
  local(): string {
    this.#locals += 1;
    return `x${this.#locals}`;
  }

  /** The name of a value that the function is given. */
  constant(value: unknown): string {
    let at = this.#known.get(value);
    if (at === undefined) {
      at = this.constants.push(value) - 1;
      this.#known.set(value, at);
    }
    return `k${at}`;
  }

  text(): string {
    return this.#lines.join('\n');
  }

  /** What is left when the position is divided by 8; undefined: it depends. */
  get inByte(): number | undefined {
    const { modulus, rest, ahead } = this.position;
    return modulus % 8 === 0 ? (rest + ahead) % 8 : undefined;
  }

  align(bits: number): void {
    const { position } = this;
    if (bits <= 1) return;
    if (position.modulus % bits === 0) {
      const over = (position.rest + position.ahead) % bits;
      this.skip(over === 0 ? 0 : bits - over);
      return;
    }
    this.settle();
    this.line(`b = ((b + ${bits - 1}) & -${bits}) >>> 0;`);
    this.know(bits, 0);
  }

  skip(bits: number): void {
    this.position.ahead += bits;
    // Numbers stay exact whatever sizes metadata adds up.
    if (this.position.ahead > most) this.settle();
  }

  /** Makes `b` the position. */
  settle(): void {
    const { position } = this;
    if (position.ahead === 0) return;
    this.line(`b += ${position.ahead};`);
    position.rest = (position.rest + position.ahead) % position.modulus;
    position.ahead = 0;
  }

  /** States what is known of `b`, which is the position. */
  know(modulus: number, rest: number): void {
    this.position = { ...this.position, modulus, rest: rest % modulus, ahead: 0 };
  }

  /** The position in bits, and in whole bytes. */
  bit(): string {
    const { ahead } = this.position;
    return ahead === 0 ? 'b' : `(b + ${ahead})`;
  }

  byte(extraBits = 0): string {
    const { modulus, rest, ahead } = this.position;
    const bits = ahead + extraBits;
    if (modulus % 8 === 0 && rest % 8 === 0 && bits % 8 === 0)
      return bits === 0 ? '(b >>> 3)' : `((b >>> 3) + ${bits / 8})`;
    return `((b + ${bits}) >>> 3)`;
  }
}

/** What is known where two ways meet; both are settled. */
export function meet(a: Position, b: Position): Position {
  let modulus = Math.min(a.modulus, b.modulus);
  while (modulus > 1 && a.rest % modulus !== b.rest % modulus) modulus /= 2;
  return {
    modulus,
    rest: a.rest % modulus,
    ahead: 0,
    order: a.order === b.order ? a.order : 'varies',
  };
}
