/** Copying a disk: sparse, with many requests in flight, telling how far it is. */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Disk } from './disk.ts';

/** How far a copy is, bytes. */
export interface CopyProgress {
  /** Behind us: data and holes. */
  doneBytes: number;
  totalBytes: number;
  /** Read and written, of those. */
  dataBytes: number;
}

export interface CopyOptions {
  /** The target reads as zeroes: holes need not be made. */
  isZero?: boolean;
  /** Called after every step. */
  onProgress?: (progress: CopyProgress) => void;
  signal?: AbortSignal;
  /** Requests in flight. */
  requests?: number;
}

/** A step: data to carry over, or zeroes to make. */
interface Step {
  offset: number;
  lengthBytes: number;
  hole: boolean;
}

/** Extents are asked for in ranges of so many bytes. */
const windowBytes = 1024 * 1024 * 1024;

/**
 * Copies all of `source` to `target`, which must be at least as large, and flushes it. Rejects with what a request
 * rejected with, MR_ERR_NBD_SIZE, or the signal's reason; no request is on its way then.
 */
export async function copyDisk(
  source: Disk,
  target: Disk,
  { isZero = false, onProgress, signal, requests = limits.nbdCopyRequests }: CopyOptions = {},
): Promise<CopyProgress> {
  const totalBytes = source.sizeBytes;
  if (target.sizeBytes < totalBytes)
    throw new MillraceError('MR_ERR_NBD_SIZE', {
      what: 'the target',
      got: target.sizeBytes,
      expected: totalBytes,
    });
  const progress: CopyProgress = { doneBytes: 0, totalBytes, dataBytes: 0 };
  const steps = stepsOf(source);
  let failure: { error: unknown } | undefined;
  const carry = async (): Promise<void> => {
    const bytes = Buffer.allocUnsafeSlow(limits.nbdCopyBytes);
    for (;;) {
      const step = failure === undefined ? await steps.next() : undefined;
      if (step?.done !== false) return;
      signal?.throwIfAborted();
      const { hole, lengthBytes, offset } = step.value;
      if (!hole) {
        await source.read(bytes, 0, lengthBytes, offset);
        await target.write(bytes, 0, lengthBytes, offset);
        progress.dataBytes += lengthBytes;
      } else if (!isZero) await target.zero(offset, lengthBytes);
      progress.doneBytes += lengthBytes;
      onProgress?.({ ...progress });
    }
  };
  const carriers = Array.from({ length: requests }, () =>
    carry().catch((error: unknown) => {
      failure ??= { error };
    }),
  );
  await Promise.all(carriers);
  if (failure !== undefined) throw failure.error;
  await target.flush();
  return progress;
}

/** The whole disk as steps, in order; several may ask for the next one at a time. */
async function* stepsOf(source: Disk): AsyncGenerator<Step, void> {
  const { sizeBytes } = source;
  for (let at = 0; at < sizeBytes; ) {
    const window = Math.min(windowBytes, sizeBytes - at);
    for (const { lengthBytes, hole } of await source.extents(at, window, limits.nbdExtents)) {
      const most = hole ? lengthBytes : limits.nbdCopyBytes;
      for (let done = 0; done < lengthBytes; done += most)
        yield { offset: at + done, lengthBytes: Math.min(most, lengthBytes - done), hole };
      at += lengthBytes;
    }
  }
}
