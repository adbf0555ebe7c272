/** One line on a terminal that says how far something is, drawn again and again in place. */
import type { Context } from './context.ts';

const everyMs = 500;
const clearLine = '\r\u001b[K';

/** How far it is. `totalBytes`: of which the end is known. */
export interface Progress {
  bytes: number;
  totalBytes?: number;
  /** What else there is to say. */
  text: string;
}

/**
 * Shows `now()` on standard error every half second, with rate and time left, if that is a terminal. The line goes
 * with `end`.
 */
export function showProgress(
  { stderr, stderrIsTerminal }: Pick<Context, 'stderr' | 'stderrIsTerminal'>,
  now: () => Progress,
): { end(): void } {
  if (!stderrIsTerminal) return { end: () => {} };
  const startMs = performance.now();
  const draw = (): void => {
    const seconds = (performance.now() - startMs) / 1000;
    stderr.write(`${clearLine}${progressText(now(), seconds)}`);
  };
  let timer: NodeJS.Timeout | undefined = setInterval(draw, everyMs);
  return {
    end() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      stderr.write(clearLine);
    },
  };
}

/** The line: bytes, rate, what else, and the time left where the end is known. */
export function progressText({ bytes, totalBytes, text }: Progress, seconds: number): string {
  const rate = seconds > 0 ? bytes / seconds : 0;
  const done =
    totalBytes === undefined ? bytesText(bytes) : `${bytesText(bytes)} of ${bytesText(totalBytes)}`;
  const left =
    totalBytes === undefined || rate === 0 ? '' : `, ${Math.ceil((totalBytes - bytes) / rate)} s left`;
  return `${done}, ${bytesText(rate)}/s, ${text}${left}`;
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return power === 0 ? `${Math.round(bytes)} bytes` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}
