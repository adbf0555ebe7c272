/**
 * flexnbd's log: `MS:LEVEL:PID THREAD CONTEXT FILE:LINE: TEXT`, one write a line. Where flexnbd names a thread and a place in
 * its source, the process's one thread and the event stand. Source: nbd-migration, C.8.
 */
import type { Writable } from 'node:stream';
import { printable, type Told, toldChannel } from '../../../lib/index.ts';
import type { FlexnbdSettings } from './options.ts';

const letters = { trace: 'D', debug: 'D', info: 'I', warn: 'W', error: 'E' } as const;
const order = 'DIWEF';
const least = { verbose: 'I', usual: 'W', quiet: 'F' } as const;

export interface FlexnbdLog {
  /** A line that even `--quiet` shows. */
  fatal(text: string): void;
  close(): void;
}

/** `context`: the served file, or `HOST:PORT` of a proxy's server. */
export function openFlexnbdLog(
  stream: Writable,
  pid: number,
  verbosity: FlexnbdSettings['verbosity'],
  context: string,
): FlexnbdLog {
  const put = (letter: string, event: string, text: string): void => {
    if (order.indexOf(letter) < order.indexOf(least[verbosity])) return;
    const ms = Math.floor(performance.now());
    const where = `millrace/${event.replace(':', '/')}:1`;
    stream.write(`${ms}:${letter}:${pid} 0x0 ${printable(context)} ${where}: ${printable(text, 500)}\n`);
  };
  const listen = (message: unknown): void => {
    const { level, event, text } = message as Told;
    put(letters[level], event, text);
  };
  toldChannel.subscribe(listen);
  return {
    fatal: (text) => put('F', 'cli:fatal', text),
    close: () => toldChannel.unsubscribe(listen),
  };
}
