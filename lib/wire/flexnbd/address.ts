import { isIP } from 'node:net';

/**
 * An address as flexnbd takes it: numeric only, `0` is every IPv4 address; an opening bracket is skipped and what
 * follows the first sign that no address has is ignored. undefined: none. Source: nbd-migration, A.6.
 */
export function parseAddress(text: string): string | undefined {
  const [, address = ''] = /^\[?([0-9a-fA-F:.]*)/.exec(text) ?? [];
  if (address === '0') return '0.0.0.0';
  return isIP(address) === 0 ? undefined : address;
}

/** A TCP port, 0 included. undefined: none. */
export function parsePort(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}
