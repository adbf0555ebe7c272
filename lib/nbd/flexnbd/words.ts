/** What flexnbd says when a migration does not start. Source: nbd-migration, C.3. */
import { type ErrorCode, MillraceError } from '../../errors.ts';

const words: Partial<Record<ErrorCode, string>> = {
  MR_ERR_NBD_MIRROR_CONNECT: 'Mirror failed to connect',
  MR_ERR_NBD_MIRROR_REJECTED: 'Mirror was rejected',
  MR_ERR_NBD_MIRROR_REPLY: 'Mirror was rejected',
  MR_ERR_NBD_MIRROR_SILENT: 'Remote server failed to respond',
  MR_ERR_NBD_MIRROR_SIZE: 'Remote size does not match local size',
  MR_ERR_NBD_MIRROR_BROKEN: 'Mirroring abandoned',
  MR_ERR_NBD_MIRROR_RUNNING: 'mirror already running',
  MR_ERR_NBD_MIRROR_ENDING: 'shutting down',
};

/** The same error in flexnbd's words, where it has any. */
export function inFlexnbdWords(error: unknown): unknown {
  const text = error instanceof MillraceError ? words[error.code as ErrorCode] : undefined;
  return text === undefined ? error : new Error(text, { cause: error });
}
