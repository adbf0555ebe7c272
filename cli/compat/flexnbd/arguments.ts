/** Arguments of flexnbd's options as what they mean; a bad one throws `MR_ERR_USAGE`. Source: nbd-migration, A.6. */
import { isIP } from 'node:net';
import { usageError } from '../../usage.ts';

/** Numeric; `0` is every IPv4 address, an opening bracket and what follows the address are ignored. */
export function addressOf(text = ''): string {
  const [, address = ''] = /^\[?([0-9a-fA-F:.]*)/.exec(text) ?? [];
  if (address === '0') return '0.0.0.0';
  if (isIP(address) === 0) throw usageError(`Couldn't parse the address "${text}"`);
  return address;
}

export function portOf(text = ''): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw usageError(`"${text}" is no port`);
  return Number(text);
}

export function bytesOf(text = ''): number {
  const bytes = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(bytes))
    throw usageError(`"${text}" is no number of bytes`);
  return bytes;
}
