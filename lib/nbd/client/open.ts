/** Disks by their addresses: an export of a server, or an image file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Image } from '../../disk/image.ts';
import { MillraceError, why } from '../../errors.ts';
import type { NbdUri } from '../../network/uri-nbd.ts';
import { transmissionFlags } from '../../wire/nbd/index.ts';
import { parsePskFile } from '../psk.ts';
import { NbdClient } from './client.ts';
import type { NbdClientOptions } from './dial-server.ts';
import { type ClientTlsOptions, tlsUpgrade } from './tls.ts';

/**
 * How to get to the export that `uri` names. Reads the files that its parameters name: `tls-certificates=DIR`,
 * `tls-psk-file=FILE`, with `tls-hostname`, `tls-verify-peer=false`. Throws MR_ERR_NBD_KEYS, MR_ERR_NBD_PSK. Source:
 * nbd-migration, B.14.
 */
export function clientOptionsOf(uri: NbdUri): NbdClientOptions {
  const { address, exportName, tls } = uri;
  return { address, exportName, ...(tls ? { upgrade: tlsUpgrade(tlsOptionsOf(uri)) } : {}) };
}

function tlsOptionsOf({ address, parameters, user }: NbdUri): ClientTlsOptions {
  const hostname =
    parameters.get('tls-hostname') ?? (address.path === undefined ? address.host : 'localhost');
  const pskPath = parameters.get('tls-psk-file');
  if (pskPath !== undefined) {
    const keys = parsePskFile(readText(pskPath));
    const [first] = keys.keys();
    const name = user ?? first ?? '';
    const key = keys.get(name);
    if (key === undefined)
      throw new MillraceError('MR_ERR_NBD_KEYS', { path: pskPath, why: `no key of user "${name}"` });
    return { hostname, psk: { user: name, key } };
  }
  const folder = parameters.get('tls-certificates');
  const verify = !/^(false|no|0)$/i.test(parameters.get('tls-verify-peer') ?? 'true');
  return { hostname, verify, ...(folder === undefined ? {} : clientCertificates(folder)) };
}

/** As GnuTLS's users lay them out; a client's own certificate may be missing. */
function clientCertificates(folder: string): Pick<ClientTlsOptions, 'ca' | 'cert' | 'key'> {
  const ca = readText(join(folder, 'ca-cert.pem'));
  try {
    const cert = readFileSync(join(folder, 'client-cert.pem'), 'utf8');
    return { ca, cert, key: readText(join(folder, 'client-key.pem')) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { ca };
    throw error;
  }
}

/** A file of keys or certificates. Throws MR_ERR_NBD_KEYS. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MillraceError('MR_ERR_NBD_KEYS', { path, why: why(cause) }, { cause });
  }
}

/** A disk that was opened, and how to let go of it. */
export interface OpenDisk {
  disk: NbdClient | Image;
  /** It reads as zeroes: nothing was in it before. */
  isNew: boolean;
  close: () => Promise<void>;
}

/** Opens an export. Rejects as `NbdClient.connect` and `clientOptionsOf`. */
export async function openExport(uri: NbdUri, signal?: AbortSignal): Promise<OpenDisk> {
  const given = { ...clientOptionsOf(uri), ...(signal === undefined ? {} : { signal }) };
  const disk = await NbdClient.connect(given);
  return { disk, isNew: false, close: () => disk.disconnect() };
}

/**
 * Opens an image file to read, or, with `createBytes`, one of that size that is new or emptied: all of it reads as
 * zeroes then. A block device keeps its size and what is on it. Errors as `Image`.
 */
export async function openImage(path: string, createBytes?: number): Promise<OpenDisk> {
  if (createBytes === undefined) {
    const disk = new Image(path, { readOnly: true, sectorBytes: 1 });
    return { disk, isNew: false, close: () => disk.close() };
  }
  const disk = new Image(path, { createBytes, isEmptied: true, sectorBytes: 1 });
  // so that zeroes in the data become holes too
  await disk.mapped;
  const isNew = disk.allocationMap.state === 'built' && disk.allocationMap.allocatedBytes === 0;
  return { disk, isNew, close: () => disk.close() };
}

/** What an export is, for people and programs. */
export function describeExport({ agreed }: NbdClient): {
  sizeBytes: number;
  protocol: string;
  abilities: string[];
  blockSizes: { minimumBytes: number; preferredBytes: number; maximumPayloadBytes: number };
} {
  const { extended, maximumPayloadBytes, minimumBytes, preferredBytes, sizeBytes, structured, style } =
    agreed;
  const replies = extended ? ', extended headers' : structured ? ', structured replies' : '';
  const tls = 'encrypted' in agreed.socket ? ', TLS' : '';
  const abilities = Object.entries(transmissionFlags)
    .filter(([, bit]) => (agreed.transmissionFlags & bit) !== 0)
    .map(([name]) => name);
  if (agreed.allocationId !== undefined) abilities.push('base:allocation');
  return {
    sizeBytes,
    protocol: `${style}${replies}${tls}`,
    abilities,
    blockSizes: { minimumBytes, preferredBytes, maximumPayloadBytes },
  };
}
