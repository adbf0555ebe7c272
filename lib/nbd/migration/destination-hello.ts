/** What a destination says of itself before anything else. */
import type { Socket } from 'node:net';
import { MillraceError, why } from '../../errors.ts';
import { narrow } from '../../schema/index.ts';
import { oldstyleHello, peerMagic, peerNote } from '../../wire/nbd/index.ts';

/** A hello, decoded. */
export interface DestinationHello {
  sizeBytes: number;
  /** `transmissionFlags` */
  flags: number;
  /** Set where it is a millrace listener. */
  peer: { connections: number; owner: number } | undefined;
}

/**
 * Reads exactly the hello; what follows stays unread. Rejects with MR_ERR_NBD_MIRROR_REJECTED, MR_ERR_NBD_MIRROR_SILENT or the
 * signal's reason, and closes the socket then.
 */
export async function readHello(
  socket: Socket,
  address: string,
  helloMs: number,
  signal: AbortSignal | undefined,
): Promise<DestinationHello> {
  const rejected = (reason: string): MillraceError =>
    new MillraceError('MR_ERR_NBD_MIRROR_REJECTED', { address, why: reason });
  const undo: Array<() => void> = [];
  const on = (event: string, listener: (error: Error) => void): void => {
    socket.on(event, listener);
    undo.push(() => socket.off(event, listener));
  };
  try {
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      const abort = (): void => reject(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      const timer = setTimeout(() => {
        const seconds = helloMs / 1000;
        // a process that was stopped finds its timer first and the hello after it
        setTimeout(() => reject(new MillraceError('MR_ERR_NBD_MIRROR_SILENT', { address, seconds })), 20);
      }, helloMs);
      undo.push(() => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      });
      const closed = (): void => reject(rejected('closed the connection'));
      on('error', (error: Error) => reject(rejected(why(error))));
      on('close', closed);
      on('end', closed);
      on('readable', () => {
        const hello = socket.read(oldstyleHello.minSizeBytes) as Buffer | null;
        if (hello !== null) resolve(hello);
      });
    });
    return decodeHello(bytes);
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error instanceof MillraceError && error.code.startsWith('MR_ERR_WIRE')
      ? rejected('it is no oldstyle NBD server')
      : error;
  } finally {
    for (const one of undo) one();
  }
}

function decodeHello(bytes: Buffer): DestinationHello {
  const { sizeBytes, transmissionFlags: flags } = oldstyleHello.decode(bytes);
  const at = oldstyleHello.offsetOf('reserved');
  const isPeer = bytes.readBigUInt64BE(at) === peerMagic;
  const note = isPeer ? peerNote.decode(bytes, at, bytes.length) : undefined;
  return {
    sizeBytes: narrow(sizeBytes, 'size of the disk'),
    flags,
    peer: note && { connections: note.connections, owner: narrow(note.owner, 'number of a mirror') },
  };
}
