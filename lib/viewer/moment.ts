/**
 * Time as two numbers that JavaScript counts with exactly: whole seconds since the origin, and nanoseconds from 0 to
 * 999,999,999 on top. Source: ctf, "Clocks and time".
 */

import type { ClockClass } from '../ctf/trace-class.ts';
import { MillraceError } from '../errors.ts';

export interface Moment {
  seconds: number;
  nanos: number;
}

const billion = 1_000_000_000;
const billionth = 1_000_000_000n;

export function momentOfNs(ns: bigint): Moment {
  const nanos = ((ns % billionth) + billionth) % billionth;
  return { seconds: Number((ns - nanos) / billionth), nanos: Number(nanos) };
}

export function nsOfMoment({ seconds, nanos }: Moment): bigint {
  return BigInt(seconds) * billionth + BigInt(nanos);
}

/** Negative where `a` is the earlier one. */
export function compareMoments(a: Moment, b: Moment): number {
  return a.seconds - b.seconds || a.nanos - b.nanos;
}

/** What is added to every clock. */
export interface ClockOffset {
  seconds: bigint;
  ns: bigint;
}

/** Turns a clock's cycles into time. */
export class ClockReader {
  readonly clock: ClockClass;
  readonly #frequency: number;
  readonly #isNano: boolean;
  readonly #base: Moment;
  /** The last result. */
  seconds = Number.NaN;
  nanos = Number.NaN;

  constructor(clock: ClockClass, offset: ClockOffset = { seconds: 0n, ns: 0n }) {
    this.clock = clock;
    const { frequencyHz } = clock;
    this.#frequency = Number(frequencyHz);
    this.#isNano = frequencyHz === billionth;
    let seconds = clock.offsetSeconds + offset.seconds;
    let ns = offset.ns;
    if (ns < 0n) {
      const size = -ns;
      seconds -= size / billionth + 1n;
      ns = billionth - (size % billionth);
    } else {
      seconds += ns / billionth;
      ns %= billionth;
    }
    let cycles = clock.offsetCycles + (ns * frequencyHz) / billionth;
    seconds += cycles / frequencyHz;
    cycles %= frequencyHz;
    this.#base = momentOfNs(seconds * billionth + this.#ns(cycles));
  }

  /** Nanoseconds as babeltrace2 makes them: through doubles. */
  #ns(cycles: bigint): bigint {
    if (this.#isNano) return cycles;
    return BigInt(Math.trunc((1e9 * Number(cycles)) / this.#frequency));
  }

  /** Sets `seconds` and `nanos` to the time of a value in two words. Errors: MR_ERR_CTF_PACKET: beyond 64 bits of ns. */
  read(high: number, low: number): void {
    let whole: number;
    let rest: number;
    const cycles = high * 4_294_967_296 + low;
    if (this.#isNano) {
      // The quotient may be off by one, as the double is not exact; the rest, modulo 2^32, shows it.
      whole = Math.floor(cycles / billion);
      rest = (low - Math.imul(whole, billion)) | 0;
      if (rest < 0) {
        whole -= 1;
        rest += billion;
      } else if (rest >= billion) {
        whole += 1;
        rest -= billion;
      }
    } else {
      const ns = Math.trunc((1e9 * cycles) / this.#frequency);
      rest = ns % billion;
      whole = Math.round((ns - rest) / billion);
    }
    whole += this.#base.seconds;
    rest += this.#base.nanos;
    if (rest >= billion) {
      whole += 1;
      rest -= billion;
    }
    if (whole > 9_223_372_035 || whole < -9_223_372_036)
      throw new MillraceError('MR_ERR_CTF_PACKET', { why: `its time, ${whole} s, does not fit` });
    this.seconds = whole;
    this.nanos = rest;
  }

  /** The time of a value. */
  momentOf(cycles: bigint): Moment {
    this.read(Number(cycles >> 32n), Number(cycles & 0xffff_ffffn));
    return { seconds: this.seconds, nanos: this.nanos };
  }
}

/** Whether the clock counts from 1970: LTTng's does, and does not say so. Source: ctf, "Clocks and time". */
export function isAbsolute(clock: ClockClass, tracerName: bigint | string | undefined): boolean {
  if (clock.isAbsolute) return true;
  return clock.name === 'monotonic' && typeof tracerName === 'string' && tracerName.startsWith('lttng-');
}
