/** Points in time as `--begin` and `--end` take them. Source: ctf, "Time range". */
import type { Moment, TimeRange } from '../../lib/index.ts';
import { usageError } from '../usage.ts';

/** Read, but for what depends on other options and on the traces: the time zone, the day. */
export type TimeBound =
  | { kind: 'date'; parts: readonly [number, number, number, number, number, number]; nanos: number }
  | { kind: 'ofDay'; parts: readonly [number, number, number]; nanos: number }
  | { kind: 'seconds'; moment: Moment };

const dateForm = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?$/;
const timeForm = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/;
const secondsForm = /^(-?)(\d{1,15})(?:\.(\d{1,9}))?$/;

/** Throws MR_ERR_USAGE. */
export function parseTimeBound(text: string): TimeBound {
  const date = dateForm.exec(text);
  if (date !== null) {
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = date
      .slice(1, 7)
      .map((each) => Number(each ?? 0));
    return { kind: 'date', parts: [year, month - 1, day, hour, minute, second], nanos: nanosOf(date[7]) };
  }
  const time = timeForm.exec(text);
  if (time !== null) {
    const [hour = 0, minute = 0, second = 0] = time.slice(1, 4).map((each) => Number(each ?? 0));
    return { kind: 'ofDay', parts: [hour, minute, second], nanos: nanosOf(time[4]) };
  }
  const seconds = secondsForm.exec(text);
  if (seconds === null)
    throw usageError(`"${text}" is no time, such as 2026-11-20 18:22:30.25, 18:22 or 1795198950.5`);
  const [, minus, whole, fraction] = seconds;
  const nanos = nanosOf(fraction);
  if (minus === '') return { kind: 'seconds', moment: { seconds: Number(whole), nanos } };
  return {
    kind: 'seconds',
    moment:
      nanos === 0
        ? { seconds: -Number(whole), nanos: 0 }
        : { seconds: -Number(whole) - 1, nanos: 1e9 - nanos },
  };
}

/** `T1,T2` or `[T1,T2]`. */
export function parseTimeRange(text: string): [TimeBound, TimeBound] {
  const inner = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  const parts = inner.split(',');
  const [begin, end] = parts;
  if (begin === undefined || end === undefined || parts.length !== 2)
    throw usageError(`"${text}" is no time range, such as 18:22:30,18:23`);
  return [parseTimeBound(begin.trim()), parseTimeBound(end.trim())];
}

function nanosOf(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.padEnd(9, '0'));
}

/** The range that two bounds mean. `first`: when the first message happened. Throws MR_ERR_USAGE: end before begin. */
export function rangeOf(
  begin: TimeBound | undefined,
  end: TimeBound | undefined,
  gmt: boolean,
  first: Moment | undefined,
): TimeRange {
  const range = { begin: begin && momentOf(begin, gmt, first), end: end && momentOf(end, gmt, first) };
  if (range.begin !== undefined && range.end !== undefined) {
    const { begin: from, end: to } = range;
    if (from.seconds > to.seconds || (from.seconds === to.seconds && from.nanos > to.nanos))
      throw usageError('the time range ends before it begins');
  }
  return range;
}

function momentOf(bound: TimeBound, gmt: boolean, first: Moment | undefined): Moment {
  if (bound.kind === 'seconds') return bound.moment;
  if (bound.kind === 'date') return { seconds: secondsOf(bound.parts, gmt), nanos: bound.nanos };
  const day = new Date((Number.isFinite(first?.seconds) ? (first?.seconds ?? 0) : 0) * 1000);
  const date = gmt
    ? ([day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate()] as const)
    : ([day.getFullYear(), day.getMonth(), day.getDate()] as const);
  return { seconds: secondsOf([...date, ...bound.parts], gmt), nanos: bound.nanos };
}

function secondsOf(parts: readonly [number, number, number, number, number, number], gmt: boolean): number {
  return Math.floor((gmt ? Date.UTC(...parts) : new Date(...parts).getTime()) / 1000);
}
