/** What a client is told of a failure here. Source: nbd-migration, B.11. */
import { MillraceError } from '../../errors.ts';
import type { NbdErrorName } from '../../wire/nbd/index.ts';

/** The protocol's error for whatever an image or the server itself has thrown. */
export function nbdErrorOf(error: unknown): NbdErrorName {
  if (!(error instanceof MillraceError)) return 'EIO';
  if (error.code === 'MR_ERR_DISK_FULL') return 'ENOSPC';
  return error.code === 'MR_ERR_IMAGE_SLOW_ZERO' ? 'ENOTSUP' : 'EIO';
}
