/** A part of a disk to or from a plain stream of bytes, in order, a few requests ahead. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Disk } from './disk.ts';

/** Which part, and who wants to know how far it is. */
export interface PartOptions {
  offset: number;
  length: number;
  onProgress?: (doneBytes: number) => void;
  signal?: AbortSignal;
}

/** Throws MR_ERR_NBD_SIZE unless the part lies in the disk. */
export function checkPart(disk: Disk, { offset, length }: Pick<PartOptions, 'offset' | 'length'>): void {
  if (offset <= disk.sizeBytes && length <= disk.sizeBytes - offset) return;
  throw new MillraceError('MR_ERR_NBD_SIZE', {
    what: 'the disk',
    got: disk.sizeBytes,
    expected: offset + length,
  });
}

/** Writes a part of `disk` to `out`, which is not ended. Rejects as the disk, MR_ERR_NBD_SIZE, or the stream's error. */
export async function readPart(disk: Disk, out: Writable, options: PartOptions): Promise<void> {
  checkPart(disk, options);
  const { length, offset, onProgress, signal } = options;
  const pieceBytes = limits.nbdCopyBytes;
  const ahead: Promise<Buffer>[] = [];
  let asked = 0;
  const ask = (): void => {
    const at = offset + asked;
    const size = Math.min(pieceBytes, length - asked);
    asked += size;
    const bytes = Buffer.allocUnsafeSlow(size);
    const piece = disk.read(bytes, 0, size, at).then(() => bytes);
    // it is heard of when its turn comes
    piece.catch(() => undefined);
    ahead.push(piece);
  };
  for (let done = 0; done < length; ) {
    while (asked < length && ahead.length < limits.nbdCopyRequests) ask();
    const bytes = (await ahead.shift()) as Buffer;
    signal?.throwIfAborted();
    done += bytes.length;
    if (!out.write(bytes)) await once(out, 'drain', signal === undefined ? {} : { signal });
    onProgress?.(done);
  }
}

/**
 * Writes what comes from `input` to a part of `disk` and flushes it. Rejects as the disk, MR_ERR_NBD_SIZE, or
 * MR_ERR_NBD_INPUT when less came (nbd-migration, F.13); what comes behind the part is left alone.
 */
export async function writePart(disk: Disk, input: Readable, options: PartOptions): Promise<void> {
  checkPart(disk, options);
  const { length, offset, onProgress, signal } = options;
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  let done = 0;
  const write = (bytes: Buffer, at: number): void => {
    const writing = Promise.resolve(disk.write(bytes, 0, bytes.length, at))
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => running.delete(writing));
    running.add(writing);
  };
  if (length > 0)
    for await (const chunk of input) {
      signal?.throwIfAborted();
      const bytes = (chunk as Buffer).subarray(0, length - done);
      write(bytes, offset + done);
      done += bytes.length;
      onProgress?.(done);
      if (running.size >= limits.nbdCopyRequests) await Promise.race(running);
      if (failure !== undefined || done === length) break;
    }
  await Promise.all(running);
  if (failure !== undefined) throw (failure as { error: unknown }).error;
  if (done < length) throw new MillraceError('MR_ERR_NBD_INPUT', { got: done, expected: length });
  await disk.flush();
}
