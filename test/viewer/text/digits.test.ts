import test from 'ava';
import fc from 'fast-check';
import { writeFloat } from '../../../lib/viewer/text/digits.ts';

function floatText(value: number): string {
  const bytes = new Uint8Array(80);
  return Buffer.from(
    bytes.subarray(0, writeFloat(bytes, 0, value, Object.is(value, -0) || value < 0)),
  ).toString();
}

/** `%g` of a fraction, by whole numbers alone: every double is one over a power of two. */
function exactText(numerator: bigint, twos: bigint): string {
  if (numerator === 0n) return '0';
  // So many decimals, and six digits are left of each.
  const scale = 10n ** 40n;
  const scaled = (numerator * scale * scale) / 2n ** twos;
  const all = scaled.toString();
  const exponent = all.length - 81;
  const cut = 10n ** BigInt(all.length - 6);
  const rest = scaled % cut;
  let digits = scaled / cut;
  if (rest * 2n > cut || (rest * 2n === cut && digits % 2n === 1n)) digits += 1n;
  const isNext = digits === 1_000_000n;
  return inForm(isNext ? '1' : digits.toString().replace(/0+$/, ''), isNext ? exponent + 1 : exponent);
}

function inForm(digits: string, exponent: number): string {
  if (exponent < -4 || exponent >= 6) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const size = String(Math.abs(exponent)).padStart(2, '0');
    return `${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.padEnd(exponent + 1, '0').slice(0, exponent + 1);
  const fraction = digits.slice(exponent + 1);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

test('floating point numbers have the six digits that exact arithmetic gives them', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 }), fc.integer({ min: 0, max: 60 }), (numerator, twos) => {
      t.is(floatText(numerator / 2 ** twos), exactText(BigInt(numerator), BigInt(twos)));
    }),
    { numRuns: 3000 },
  );
});

// As printf of glibc 2.36 prints them.
for (const [value, text] of [
  [12345.625, '12345.6'],
  [12345.25, '12345.2'],
  [12345.75, '12345.8'],
  [100000.5, '100000'],
  [100001.5, '100002'],
  [999999.5, '1e+06'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [0.1, '0.1'],
  [-2.5, '-2.5'],
  [0, '0'],
  [-0, '-0'],
] as const)
  test(`the floating point number ${Object.is(value, -0) ? '-0' : value} is printed as ${text}`, (t) => {
    t.is(floatText(value), text);
  });
