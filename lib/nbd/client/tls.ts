/** TLS of a client. Source: nbd-migration, B.5, B.14. */
import type { Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { MillraceError, why } from '../../errors.ts';
import { pskCiphers } from '../psk.ts';

/** How to speak TLS with a server. PEM texts, or a key. */
export interface ClientTlsOptions {
  /** Whom the server's certificate must be for. */
  hostname: string;
  /** Who signs servers' certificates; absent: whom the system trusts. */
  ca?: string | Buffer;
  /** Our own. */
  cert?: string | Buffer;
  key?: string | Buffer;
  /** false: any certificate will do. */
  verify?: boolean;
  /** A user and a key that the server knows too (TLS-PSK). */
  psk?: { user: string; key: Buffer };
}

/** Makes what wraps a socket on which the server has agreed to TLS; rejects with MR_ERR_NBD_TLS. */
export function tlsUpgrade(options: ClientTlsOptions): (socket: Socket) => Promise<Socket> {
  const { hostname, psk, verify = true, ca, cert, key } = options;
  const given: ConnectionOptions = {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify && psk === undefined,
    // numeric addresses are compared with the certificate, but not announced
    ...(/^[\d.]+$|:/.test(hostname) ? { host: hostname } : { host: hostname, servername: hostname }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(psk === undefined
      ? {}
      : {
          ciphers: pskCiphers,
          checkServerIdentity: () => undefined,
          pskCallback: () => ({ identity: psk.user, psk: psk.key }),
        }),
  };
  return (socket) =>
    new Promise((resolve, reject) => {
      const failed = (cause: unknown): void => {
        socket.destroy();
        reject(new MillraceError('MR_ERR_NBD_TLS', { peer: hostname, why: why(cause) }, { cause }));
      };
      const lost = (): void => failed(new Error('closed during the handshake'));
      socket.once('close', lost);
      const encrypted = connect({ ...given, socket });
      encrypted.once('error', failed).once('secureConnect', () => {
        encrypted.off('error', failed);
        socket.off('close', lost);
        encrypted.pause();
        resolve(encrypted);
      });
    });
}
