/**
 * The log: a subscriber of telemetry that writes lines. It owns nothing but a table of repeated warnings; a
 * stream that fails is given up, one that is not drained loses lines, counted, rather than memory.
 */
import type { Writable } from 'node:stream';
import { printable } from '../errors.ts';
import { type Level, type Told, toldChannel } from '../telemetry.ts';

/** `text`: a line that a person reads; `json`: one object a line, bigint as string. */
export type LogFormat = 'text' | 'json';

export interface LogOptions {
  stream: Writable;
  format: LogFormat;
  /** Least level that is written. */
  level: Level;
  /** Lines of one kind of trouble that are written within `windowMs` before the rest is only counted. */
  burst?: number;
  windowMs?: number;
}

export interface Log {
  /** May be changed at any time. */
  level: Level;
  /** Writes the counts still owed and stops listening. The stream stays open. */
  close(): void;
}

/** Levels from the quietest word to the gravest. */
export const levels: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error'];

/** One kind of trouble (event and code) within its window. */
interface Repeat {
  written: number;
  /** Told, but not written. */
  held: number;
  last: Told;
  timer: NodeJS.Timeout;
}

/**
 * Writes what is told, from now on. Warnings and errors of one kind are limited to `burst` lines in `windowMs`
 * milliseconds, then counted, because a peer decides how many there are.
 */
export function openLog({ stream, format, level, burst = 10, windowMs = 10_000 }: LogOptions): Log {
  const repeats = new Map<string, Repeat>();
  const render = format === 'json' ? jsonLine : textLine;
  let broken = false;
  let droppedLines = 0;

  // Stays attached: an error may come long after the last line, and an unheard one ends the process.
  stream.on('error', () => {
    broken = true;
  });

  const put = (line: string): void => {
    if (broken || stream.writableEnded) return;
    if (stream.writableNeedDrain) {
      droppedLines++;
      return;
    }
    if (droppedLines > 0) {
      const dropped = droppedLines;
      droppedLines = 0;
      stream.write(
        render(new Date(), {
          level: 'warn',
          event: 'log:dropped',
          text: 'log lines were dropped, the reader of the log is too slow',
          facts: { lines: dropped },
        }),
      );
    }
    stream.write(line);
  };

  const settle = (kind: string): void => {
    const repeat = repeats.get(kind);
    if (repeat === undefined) return;
    clearTimeout(repeat.timer);
    repeats.delete(kind);
    if (repeat.held === 0) return;
    const { last, held } = repeat;
    put(render(new Date(), { ...last, text: `${last.text} (the last of ${held} more like it)` }));
  };

  const isHeld = (told: Told): boolean => {
    const kind = `${told.level} ${told.event} ${told.code ?? ''}`;
    let repeat = repeats.get(kind);
    if (repeat === undefined) {
      const timer = setTimeout(settle, windowMs, kind).unref();
      repeat = { written: 0, held: 0, last: told, timer };
      repeats.set(kind, repeat);
    }
    repeat.last = told;
    if (repeat.written === burst) repeat.held++;
    else repeat.written++;
    return repeat.held > 0;
  };

  const listen = (message: unknown): void => {
    const told = message as Told;
    if (levels.indexOf(told.level) < levels.indexOf(log.level)) return;
    if ((told.level === 'warn' || told.level === 'error') && isHeld(told)) return;
    put(render(new Date(), told));
  };
  const log: Log = {
    level,
    close() {
      toldChannel.unsubscribe(listen);
      for (const kind of repeats.keys()) settle(kind);
    },
  };
  toldChannel.subscribe(listen);
  return log;
}

/**
 * `2026-11-20 21:05:27.667 warn  relay:lost: sentence (key=value, …)`, in local time as lttng-relayd's log; facts
 * that the sentence names are not repeated.
 */
function textLine(time: Date, { level, event, text, facts, code }: Told): string {
  const shown = Object.entries(facts)
    .filter(([, fact]) => fact !== undefined && !text.includes(String(fact)))
    .map(([name, fact]) => `${name}=${quoteBlank(printable(String(fact)))}`);
  if (code !== undefined) shown.push(code);
  const tail = shown.length === 0 ? '' : ` (${shown.join(', ')})`;
  return `${localTime(time)} ${level.padEnd(5)} ${event}: ${printable(text, 500)}${tail}\n`;
}

function quoteBlank(text: string): string {
  return /[\s,()]/.test(text) || text === '' ? `"${text}"` : text;
}

function localTime(time: Date): string {
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000);
  return local.toISOString().replace('T', ' ').replace('Z', '');
}

function jsonLine(time: Date, told: Told): string {
  return `${JSON.stringify({ time: time.toISOString(), ...told }, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )}\n`;
}
