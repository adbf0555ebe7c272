import { MillraceError } from '../../lib/errors.ts';

/** Bytes from hex digits; blanks are for the reader. */
export const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

/** The code of the MillraceError that `run` throws, undefined if it throws none; anything else goes on. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
  return undefined;
}
