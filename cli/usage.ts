import { MillraceError } from '../lib/start.ts';

/** An error of the person at the keyboard: `why` is the whole message. Code `MR_ERR_USAGE`. */
export function usageError(why: string, cause?: unknown): MillraceError {
  return new MillraceError('MR_ERR_USAGE', { why }, { cause });
}

const usageCodes: ReadonlySet<string> = new Set([
  'MR_ERR_USAGE',
  'MR_ERR_NETWORK_URI',
  'MR_ERR_PIPE_PAIR',
  'MR_ERR_VIEW_FILTER',
]);

/** Whether wrong usage is what ended a command. */
export function isUsageError(error: unknown): boolean {
  return error instanceof MillraceError && usageCodes.has(error.code);
}
