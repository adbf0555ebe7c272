/** Connecting to a peer, with a deadline and a way to call it off. */
import { connect, type Socket } from 'node:net';
import { MillraceError, why } from '../errors.ts';
import { type Address, addressText } from './address.ts';

/** How long to try, and who may stop it. */
export interface DialOptions {
  signal?: AbortSignal;
  /** For name resolution and all addresses of the name together, milliseconds; absent: the system's patience. */
  timeoutMs?: number;
  /** Keep the writing half when the peer ends its own; its owner must `end()` it then. */
  allowHalfOpen?: boolean;
  /** Address of this host to come from. */
  localAddress?: string;
}

/**
 * Connects to `address` and resolves with a socket without Nagle's delay, paused and unread: ready for
 * `socketSource`, or to be resumed. Rejects with MR_ERR_NETWORK_DIAL, or with the signal's reason. Once it has
 * resolved, 'error' events are for its new owner to hear.
 */
export function dial(address: Address, options: DialOptions = {}): Promise<Socket> {
  const { signal, timeoutMs, allowHalfOpen = false, localAddress } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const from = localAddress === undefined ? {} : { localAddress };
    const socket = connect({ ...address, ...from, allowHalfOpen, noDelay: true });
    // paused before it connects, or Node begins to read
    socket.pause();
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.removeListener('error', fail).removeListener('connect', done);
      act();
    };
    const give = (error: unknown): void => {
      settle(() => {
        // what still comes of the attempt interests nobody
        socket.on('error', () => undefined).destroy();
        reject(error as Error);
      });
    };
    const failed = (reason: string, cause?: unknown): void =>
      give(
        new MillraceError('MR_ERR_NETWORK_DIAL', { address: addressText(address), why: reason }, { cause }),
      );
    const done = (): void => settle(() => resolve(socket));
    const fail = (error: Error): void => failed(why(firstOf(error)), error);
    const abort = (): void => give(signal?.reason);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => failed(`no answer in ${timeoutMs} ms`), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    socket.on('error', fail).on('connect', done);
  });
}

/** A name with several addresses fails with all their errors, and no message of its own. */
function firstOf(error: Error): unknown {
  return error instanceof AggregateError ? (error.errors[0] ?? error) : error;
}
