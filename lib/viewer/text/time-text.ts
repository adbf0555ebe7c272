/** Points in time as text. Source: ctf, "Time". */
import type { Moment } from '../moment.ts';
import { writeNano, writeText, writeUnsigned64 } from './digits.ts';
import type { ClockStyle } from './style.ts';

export const negativeWarning =
  '[warning] Fallback to [sec.ns] to print negative time value. Use --clock-seconds.';

/** Writes times in one style. A second's text is made once for all events in it. */
export class TimeText {
  readonly #style: ClockStyle;
  readonly #warn: (line: string) => void;
  #warned = false;
  #second = Number.NaN;
  #text = new Uint8Array(0);

  /** `warn` is called once, at the first negative time that is not printed as seconds. */
  constructor(style: ClockStyle, warn: (line: string) => void) {
    this.#style = style;
    this.#warn = warn;
    // Compiled code knows the ways that were gone before: the end of a second is one of them now.
    const bytes = new Uint8Array(64);
    for (let second = 0; second < 32; second++) this.#positive(bytes, 0, second, 0);
  }

  /** Cycles are not for messages of losses: those always show the time. */
  write(u: Uint8Array, n: number, { seconds, nanos }: Moment): number {
    if (seconds < 0) return this.#negative(u, n, seconds, nanos);
    return this.#positive(u, n, seconds, nanos);
  }

  /** The same as text. */
  textOf(moment: Moment): string {
    const bytes = new Uint8Array(64);
    return Buffer.from(bytes.subarray(0, this.write(bytes, 0, moment))).toString('latin1');
  }

  #positive(u: Uint8Array, n: number, seconds: number, nanos: number): number {
    if (seconds !== this.#second) {
      this.#second = seconds;
      this.#text = Buffer.from(
        this.#style.form === 'seconds' ? `${seconds}.` : `${this.#clockText(seconds)}.`,
      );
    }
    const text = this.#text;
    for (let i = 0; i < text.length; i++) u[n + i] = text[i] as number;
    return writeNano(u, n + text.length, nanos);
  }

  #negative(u: Uint8Array, n: number, seconds: number, nanos: number): number {
    // What is left when the sign is taken away.
    const whole = nanos === 0 ? -seconds : -seconds - 1;
    const rest = nanos === 0 ? 0 : 1_000_000_000 - nanos;
    const isSeconds = this.#style.form === 'seconds';
    if (!isSeconds && this.#warned) return this.#positive(u, n, whole, rest);
    if (!isSeconds) {
      this.#warned = true;
      this.#warn(negativeWarning);
    }
    return writeNano(u, writeText(u, n, `-${whole}.`), rest);
  }

  #clockText(seconds: number): string {
    const date = new Date(seconds * 1000);
    const pad = (value: number, length = 2) => String(value).padStart(length, '0');
    const gmt = this.#style.gmt;
    const [year, month, day, hour, minute, second] = gmt
      ? [
          date.getUTCFullYear(),
          date.getUTCMonth(),
          date.getUTCDate(),
          date.getUTCHours(),
          date.getUTCMinutes(),
          date.getUTCSeconds(),
        ]
      : [
          date.getFullYear(),
          date.getMonth(),
          date.getDate(),
          date.getHours(),
          date.getMinutes(),
          date.getSeconds(),
        ];
    const time = `${pad(hour)}:${pad(minute)}:${pad(second)}`;
    return this.#style.form === 'date' ? `${pad(year, 4)}-${pad(month + 1)}-${pad(day)} ${time}` : time;
  }
}

/** A clock's value in 20 digits. */
export function writeCycles(u: Uint8Array, n: number, high: number, low: number, digits: number): number {
  const end = writeUnsigned64(u, n, high, low);
  const missing = digits - (end - n);
  if (missing <= 0) return end;
  u.copyWithin(n + missing, n, end);
  u.fill(48, n, n + missing);
  return n + digits;
}
