/** TLS of a server: certificates (X.509) or keys that both sides know (PSK). Source: nbd-migration, B.5. */
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { MillraceError, why } from '../../errors.ts';
import { pskCiphers } from '../psk.ts';

/** How to speak TLS. PEM texts, or keys by user. */
export interface ServerTlsOptions {
  /** Nothing but STARTTLS is answered before it. */
  required: boolean;
  /** The server's own certificate and key. */
  cert?: string | Buffer;
  key?: string | Buffer;
  /** Who signs clients' certificates; with `verifyClients` a client without one is refused. */
  ca?: string | Buffer;
  verifyClients?: boolean;
  /** Keys by user name (TLS-PSK). */
  psk?: ReadonlyMap<string, Buffer>;
}

/** See the file's head. */
export class ServerTls {
  readonly required: boolean;
  readonly #options: TlsOptions;

  constructor({ required, cert, key, ca, verifyClients = false, psk }: ServerTlsOptions) {
    this.required = required;
    this.#options = {
      minVersion: 'TLSv1.2',
      requestCert: verifyClients,
      rejectUnauthorized: verifyClients,
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(ca === undefined ? {} : { ca }),
      ...(psk === undefined ? {} : { ciphers: pskCiphers, pskCallback: (_, user) => psk.get(user) ?? null }),
    };
  }

  /**
   * Wraps a socket on which STARTTLS was just acknowledged, or nothing was said; resolves with the encrypted one when the handshake is
   * done. Rejects with MR_ERR_NBD_TLS; the connection is of no more use then. Clear text that came too early is
   * refused: an attacker may have put it there.
   */
  upgrade(socket: Socket, peer: string): Promise<Socket> {
    const failed = (reason: string, cause?: unknown): MillraceError =>
      new MillraceError('MR_ERR_NBD_TLS', { peer, why: reason }, { cause });
    if (socket.readableLength > 0) return Promise.reject(failed('clear text before TLS'));
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(failed('closed during the handshake'));
      socket.once('close', lost);
      const server = createServer(this.#options, (encrypted: TLSSocket) => {
        socket.off('close', lost);
        encrypted.pause();
        resolve(encrypted);
      });
      server.on('tlsClientError', (error) => {
        socket.destroy();
        reject(failed(why(error), error));
      });
      // the documented way to have one connection of a server encrypted
      server.emit('connection', socket);
    });
  }
}
