/** Who may connect. Source: nbd-migration, C.5, F.12. */
import { BlockList, isIP, type SocketAddress } from 'node:net';
import { MillraceError } from '../errors.ts';

/** One `ADDRESS` or `ADDRESS/BITS`. */
interface Entry {
  text: string;
  family: 'ipv4' | 'ipv6';
  block: BlockList;
}

/**
 * An access list: without entries everybody may, or with default-deny nobody; with entries who matches one. Entries
 * name IPv4 or IPv6 networks; host bits are ignored. An IPv4 client of a dual-stack socket is an IPv4 client. Clients
 * of a Unix socket are let in: the socket's mode decides about them.
 */
export class AccessList {
  readonly defaultDeny: boolean;
  readonly #entries: readonly Entry[];

  /** Throws MR_ERR_NBD_ACL for what is no entry. */
  constructor(entries: readonly string[] = [], { defaultDeny = false } = {}) {
    this.defaultDeny = defaultDeny;
    this.#entries = entries.map(parseEntry);
  }

  /** As they were given. */
  get entries(): readonly string[] {
    return this.#entries.map(({ text }) => text);
  }

  /** `address`: numeric, as a socket has it; undefined for a Unix socket. */
  allows(address: string | undefined): boolean {
    if (address === undefined) return true;
    if (this.#entries.length === 0) return !this.defaultDeny;
    const plain = normalise(address);
    const family = isIP(plain) === 4 ? 'ipv4' : 'ipv6';
    return this.#entries.some((entry) => entry.family === family && entry.block.check(plain, family));
  }
}

/** `::ffff:10.0.0.7` is 10.0.0.7, and a link-local address goes without the name of its link. */
function normalise(address: string): string {
  return address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

function parseEntry(text: string): Entry {
  const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? most : Number(bits);
  if (version === 0 || address.includes('%') || prefix < 1 || prefix > most)
    throw new MillraceError('MR_ERR_NBD_ACL', { entry: text });
  const family: SocketAddress['family'] = version === 4 ? 'ipv4' : 'ipv6';
  const block = new BlockList();
  block.addSubnet(address, prefix, family);
  return { text, family, block };
}
