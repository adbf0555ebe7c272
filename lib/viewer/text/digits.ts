/**
 * Numbers as text, written straight into bytes: no strings on the way, no big integers. Each function writes at `n`
 * and returns where it ended; there must be room for 80 bytes.
 */
const tens = Uint8Array.from({ length: 100 }, (_, i) => 48 + Math.floor(i / 10));
const ones = Uint8Array.from({ length: 100 }, (_, i) => 48 + (i % 10));
const billion = 1_000_000_000;

/** An unsigned integer of 32 bits. */
export function writeUnsigned(u: Uint8Array, n: number, value: number): number {
  if (value < 10) {
    u[n] = 48 + value;
    return n + 1;
  }
  if (value < 100) {
    u[n] = tens[value] as number;
    u[n + 1] = ones[value] as number;
    return n + 2;
  }
  const length =
    value < 100_000
      ? value < 1000
        ? 3
        : value < 10_000
          ? 4
          : 5
      : value < 10_000_000
        ? value < 1_000_000
          ? 6
          : 7
        : value < 100_000_000
          ? 8
          : value < billion
            ? 9
            : 10;
  let rest = value;
  let at = n + length;
  while (rest >= 100) {
    const next = (rest / 100) >>> 0;
    const pair = rest - next * 100;
    at -= 2;
    u[at] = tens[pair] as number;
    u[at + 1] = ones[pair] as number;
    rest = next;
  }
  if (rest >= 10) {
    u[n] = tens[rest] as number;
    u[n + 1] = ones[rest] as number;
  } else u[n] = 48 + rest;
  return n + length;
}

/** A signed integer of 32 bits. */
export function writeSigned(u: Uint8Array, n: number, value: number): number {
  if (value >= 0) return writeUnsigned(u, n, value);
  u[n] = 45;
  return writeUnsigned(u, n + 1, -value);
}

/** Exactly nine digits. */
export function writeNano(u: Uint8Array, n: number, value: number): number {
  const high = (value / 100_000) >>> 0;
  const low = value - high * 100_000;
  const a = (high / 100) >>> 0;
  const b = high - a * 100;
  const c = (low / 1000) >>> 0;
  const d = low - c * 1000;
  const e = (d / 10) >>> 0;
  u[n] = tens[a] as number;
  u[n + 1] = ones[a] as number;
  u[n + 2] = tens[b] as number;
  u[n + 3] = ones[b] as number;
  u[n + 4] = tens[c] as number;
  u[n + 5] = ones[c] as number;
  u[n + 6] = tens[e] as number;
  u[n + 7] = ones[e] as number;
  u[n + 8] = 48 + d - e * 10;
  return n + 9;
}

/** An unsigned integer of 64 bits: two words of 32. */
export function writeUnsigned64(u: Uint8Array, n: number, high: number, low: number): number {
  if (high === 0) return writeUnsigned(u, n, low);
  let quotient: number;
  let rest: number;
  if (high < 0x20_0000) {
    const value = high * 4_294_967_296 + low;
    quotient = Math.floor(value / billion);
    rest = value - quotient * billion;
  } else {
    const first = Math.floor(high / billion);
    const middle = (high - first * billion) * 65_536 + (low >>> 16);
    const second = Math.floor(middle / billion);
    const last = (middle - second * billion) * 65_536 + (low & 0xffff);
    const third = Math.floor(last / billion);
    quotient = first * 4_294_967_296 + second * 65_536 + third;
    rest = last - third * billion;
  }
  if (quotient < billion) {
    const end = quotient === 0 ? n : writeUnsigned(u, n, quotient);
    return quotient === 0 ? writeUnsigned(u, n, rest) : writeNano(u, end, rest);
  }
  const most = Math.floor(quotient / billion);
  return writeNano(u, writeNano(u, writeUnsigned(u, n, most), quotient - most * billion), rest);
}

/** A signed integer of 64 bits; `high` has the sign. */
export function writeSigned64(u: Uint8Array, n: number, high: number, low: number): number {
  if (high >= 0) return writeUnsigned64(u, n, high, low);
  u[n] = 45;
  const minusLow = -low >>> 0;
  const minusHigh = (~high + (minusLow === 0 ? 1 : 0)) >>> 0;
  return writeUnsigned64(u, n + 1, minusHigh, minusLow);
}

/** ASCII. */
export function writeText(u: Uint8Array, n: number, text: string): number {
  for (let i = 0; i < text.length; i++) u[n + i] = text.charCodeAt(i);
  return n + text.length;
}

/**
 * In base 2, 8 or 16 as babeltrace2 does: negative ones as two's complement, in as many digits as the size needs.
 * `high`: 0 or the sign where there is only one word. Source: ctf, "Values".
 */
export function writeBased(
  u: Uint8Array,
  n: number,
  base: 2 | 8 | 16,
  sizeBits: number,
  high: number,
  low: number,
): number {
  if (base !== 16) return writeSmallBase(u, n, base, sizeBits, high, low);
  // A shift by 64 bits, which on x86-64 is one by none: babeltrace2 prints 0 for these sizes.
  if (sizeBits > 60 && sizeBits < 64) return writeText(u, n, '0x0');
  const bits = Math.ceil(sizeBits / 4) * 4;
  const masked = bits <= 32 ? 0 : high >>> 0;
  return writeHexadecimal(
    u,
    n,
    bits < 64 && bits > 32 ? masked & (2 ** (bits - 32) - 1) : masked,
    bits < 32 ? low & (2 ** bits - 1) : low >>> 0,
  );
}

function writeSmallBase(
  u: Uint8Array,
  n: number,
  base: 2 | 8,
  sizeBits: number,
  high: number,
  low: number,
): number {
  const word = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  if (base === 2)
    return writeText(u, n, `0b${BigInt.asUintN(sizeBits, word).toString(2).padStart(sizeBits, '0')}`);
  const bits = Math.min(Math.ceil(sizeBits / 3) * 3, 64);
  return writeText(u, n, `0${BigInt.asUintN(bits, word).toString(8)}`);
}

function writeHexadecimal(u: Uint8Array, n: number, high: number, low: number): number {
  u[n] = 48;
  u[n + 1] = 120;
  let at = n + 2;
  let started = false;
  for (let shift = 60; shift >= 0; shift -= 4) {
    const digit = (shift >= 32 ? high >>> (shift - 32) : low >>> shift) & 15;
    started ||= digit !== 0 || shift === 0;
    if (!started) continue;
    u[at] = digit < 10 ? 48 + digit : 55 + digit;
    at += 1;
  }
  return at;
}

const powers = Float64Array.from({ length: 23 }, (_, i) => 10 ** i);

/**
 * As C prints it with `%g`; `isNegative`: the sign bit, which NaN has too. Where there is no exponent to print, six digits
 * come from one multiplication and from what it lost. Source: ctf, "Values".
 */
export function writeFloat(u: Uint8Array, n: number, value: number, isNegative: boolean): number {
  if (isNegative) u[n++] = 45;
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 999_999) {
    let exponent = size >= 1 ? 0 : -4;
    while (size >= (exponent < -1 ? 1 / (powers[-exponent - 1] as number) : (powers[exponent + 1] as number)))
      exponent += 1;
    const power = powers[5 - exponent] as number;
    const scaled = size * power;
    const digits = Math.floor(scaled);
    const half = scaled - digits - 0.5;
    if (digits < 999_999) {
      const beyond = half === 0 ? productError(size, power, scaled) : half;
      // A half that is exactly one goes to the even neighbour.
      const isUp = beyond > 0 || (beyond === 0 && digits % 2 === 1);
      return writeSixDigits(u, n, isUp ? digits + 1 : digits, exponent);
    }
  }
  return writeText(u, n, floatText(size));
}

/** What `product`, the double nearest to `a * b`, lacks of it: exactly. Source: Dekker 1971, "mul12". */
function productError(a: number, b: number, product: number): number {
  const aHigh = upperHalf(a);
  const bHigh = upperHalf(b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/** The upper 26 of 53 bits. */
function upperHalf(value: number): number {
  const shifted = value * 134_217_729;
  return shifted - (shifted - value);
}

/** Six significant digits without exponent and without the zeros behind them; `exponent`: -4 to 5. */
function writeSixDigits(u: Uint8Array, n: number, digits: number, exponent: number): number {
  let rest = digits;
  let length = 6;
  while (length > 1 && rest % 10 === 0) {
    rest = (rest / 10) >>> 0;
    length -= 1;
  }
  let at = n;
  if (exponent < 0) {
    u[at] = 48;
    u[at + 1] = 46;
    at += 2;
    for (let i = exponent; i < -1; i++) u[at++] = 48;
    return writeUnsigned(u, at, rest);
  }
  const whole = exponent + 1;
  if (length <= whole) {
    at = writeUnsigned(u, n, rest);
    for (let i = length; i < whole; i++) u[at++] = 48;
    return at;
  }
  // The digits a place further than they go, then those before the point one back.
  at = writeUnsigned(u, n + 1, rest);
  for (let i = 0; i < whole; i++) u[n + i] = u[n + i + 1] as number;
  u[n + whole] = 46;
  return at;
}

/** A number without its sign. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === 0) return '0';
  const { digits, exponent } = sixDigits(value);
  const trimmed = digits.replace(/0+$/, '');
  if (exponent < -4 || exponent >= 6) {
    const fraction = trimmed.length > 1 ? `.${trimmed.slice(1)}` : '';
    const sign = exponent < 0 ? '-' : '+';
    return `${trimmed[0]}${fraction}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${trimmed}`;
  const whole = trimmed.padEnd(exponent + 1, '0').slice(0, exponent + 1);
  return trimmed.length > exponent + 1 ? `${whole}.${trimmed.slice(exponent + 1)}` : whole;
}

/** Six significant digits; halves go to the even neighbour in C and upwards in JavaScript. */
function sixDigits(value: number): { digits: string; exponent: number } {
  const seven = value.toExponential(6);
  const isHalf = seven[7] === '5' && Number(seven) === value;
  const isEven = Number(seven[6]) % 2 === 0;
  const text = isHalf && isEven ? seven.slice(0, 7) + seven.slice(8) : value.toExponential(5);
  const [mantissa = '', exponent = '0'] = text.split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}
