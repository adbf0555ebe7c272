/** Keys that both sides know (TLS-PSK). Source: nbd-migration, B.5. */
import { MillraceError } from '../errors.ts';

/** Ciphers of TLS-PSK, which Node leaves out of its own list. */
export const pskCiphers = 'PSK:!aNULL:!eNULL:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256';

/** Keys by user, from lines of `USER:HEXKEY` as GnuTLS's psktool writes them. Throws MR_ERR_NBD_PSK with the line. */
export function parsePskFile(text: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [, user, key] = /^([^:]+):((?:[0-9a-fA-F]{2})+)\s*$/.exec(line) ?? [];
    if (user === undefined || key === undefined) throw new MillraceError('MR_ERR_NBD_PSK', { line: i + 1 });
    keys.set(user, Buffer.from(key, 'hex'));
  }
  return keys;
}
