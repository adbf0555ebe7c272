/** Reading a handshake: so many bytes, then so many more, from a socket that nobody else reads. */
import type { Socket } from 'node:net';
import { MillraceError, why } from '../errors.ts';

/**
 * The next `sizeBytes` (at least 1) of `socket`, which must be paused; what comes behind them stays in it. Rejects
 * with MR_ERR_NETWORK_LOST when the connection ends or breaks before; `name` is the peer's, for that. Whoever wants a
 * deadline destroys the socket.
 */
export function readExactly(socket: Socket, sizeBytes: number, name: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      socket.off('readable', look).off('end', ended).off('error', failed).off('close', ended);
      act();
    };
    const failed = (cause: unknown): void =>
      settle(() =>
        reject(new MillraceError('MR_ERR_NETWORK_LOST', { peer: name, why: why(cause) }, { cause })),
      );
    const ended = (): void => failed(new Error('closed before its end'));
    const look = (): void => {
      const bytes = socket.read(sizeBytes) as Buffer | null;
      if (bytes === null) {
        if (socket.destroyed || socket.readableEnded) ended();
        return;
      }
      // at the end of the input read() gives what is left, however little
      if (bytes.length < sizeBytes) ended();
      else settle(() => resolve(bytes));
    };
    socket.on('readable', look).on('end', ended).on('error', failed).on('close', ended);
    look();
  });
}
