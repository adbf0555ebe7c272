/** How a disk that is served, or taken in, is encrypted. */
import { join } from 'node:path';
import { loadNbd, type ServerTlsOptions } from '../../lib/index.ts';
import type { Option } from '../options.ts';
import { usageError } from '../usage.ts';

export type TlsMode = 'off' | 'on' | 'require';

/** Where keys lie. */
export interface TlsKeySettings {
  certificates: string | undefined;
  verifyClients: boolean;
  pskFile: string | undefined;
}

export const noKeys: Readonly<TlsKeySettings> = {
  certificates: undefined,
  verifyClients: false,
  pskFile: undefined,
};

/** `--tls-certificates`, `--tls-verify-peer`, `--tls-psk`. */
export function tlsKeyOptions<S extends TlsKeySettings>(): [Option<S>, Option<S>, Option<S>] {
  return [
    {
      name: 'tls-certificates',
      argument: 'DIR',
      section: 'Encryption',
      help: 'server-cert.pem and server-key.pem, and ca-cert.pem to check clients with, lie here.',
      set: (settings, value) => {
        settings.certificates = value;
      },
    },
    {
      name: 'tls-verify-peer',
      section: 'Encryption',
      help: 'Let in only clients with a certificate of that authority.',
      set: (settings, on) => {
        settings.verifyClients = on;
      },
    },
    {
      name: 'tls-psk',
      argument: 'FILE',
      section: 'Encryption',
      help: 'Keys that clients know too, in place of certificates: lines of USER:HEXKEY.',
      set: (settings, value) => {
        settings.pskFile = value;
      },
    },
  ];
}

/** Undefined: none. Throws `MR_ERR_USAGE`, MR_ERR_NBD_KEYS, MR_ERR_NBD_PSK. */
export async function tlsOf(
  { certificates, pskFile, verifyClients }: TlsKeySettings,
  mode?: TlsMode,
): Promise<ServerTlsOptions | undefined> {
  if (mode === 'off') return undefined;
  if (certificates === undefined && pskFile === undefined) {
    if (mode !== undefined) throw usageError('--tls needs --tls-certificates or --tls-psk');
    return undefined;
  }
  const { parsePskFile, readText } = await loadNbd();
  const required = mode !== 'on';
  if (pskFile !== undefined) return { required, psk: parsePskFile(readText(pskFile)) };
  const folder = certificates as string;
  return {
    required,
    cert: readText(join(folder, 'server-cert.pem')),
    key: readText(join(folder, 'server-key.pem')),
    ...(verifyClients ? { verifyClients, ca: readText(join(folder, 'ca-cert.pem')) } : {}),
  };
}
