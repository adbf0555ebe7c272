/**
 * The parts that addresses are made of: scheme, host, ports. Every refusal names the reason and the place. Source:
 * relay-protocol, "URLs and daemon options": protocol names in any case, IPv6 addresses in brackets, an empty port
 * field is the default. Trailing characters in a port are refused, which lttng overlooks.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { MillraceError } from '../errors.ts';

/** Where LTTng's relays and NBD servers listen. */
export const defaultPorts = { control: 5342, data: 5343, live: 5344, nbd: 10_809 } as const;

/** IP version that a scheme stands for. */
export type Family = 4 | 6;

/** An address as it was typed, read from left to right. */
export class UriText {
  readonly text: string;
  readonly #hostEnds: string;
  #at: number;

  /** `at`: where to begin. `hostEnds`: signs that end host and ports. */
  constructor(text: string, at = 0, hostEnds = '/') {
    this.text = text;
    this.#at = at;
    this.#hostEnds = hostEnds;
  }

  /** Where the next part begins. */
  get at(): number {
    return this.#at;
  }

  /** What has not been read. */
  get rest(): string {
    return this.text.slice(this.#at);
  }

  /** Throws MR_ERR_NETWORK_URI; `at` counts from 0, people from 1. */
  fail(why: string, at = this.#at): never {
    throw new MillraceError('MR_ERR_NETWORK_URI', { uri: this.text, why, position: at + 1 });
  }

  /** The protocol in front of `://`, in small letters; undefined, and nothing is read, where there is none. */
  scheme(): string | undefined {
    const found = /^([a-z][a-z0-9+.-]*):\/\//i.exec(this.rest)?.[1];
    if (found === undefined) return undefined;
    this.#at += found.length + 3;
    return found.toLowerCase();
  }

  /**
   * A host name or address without its brackets. `family`: the IP version that the scheme stands for, where it does;
   * `scheme`: the IPv4 one of the pair, to say how an address of the other version is written.
   */
  host(family: Family | undefined, scheme: string): string {
    const start = this.#at;
    const authority = this.#until(this.#hostEnds);
    if (isIPv6(authority)) this.fail(`an IPv6 address stands in brackets: [${authority}]`);
    const host = authority.startsWith('[') ? this.#bracketed(authority) : this.#name(authority);
    if (family === 4 && isIPv6(host))
      this.fail(`${host} is an IPv6 address, write ${scheme}6://[${host}]`, start);
    if (family === 6 && isIPv4(host))
      this.fail(`${host} is an IPv4 address, write ${scheme}://${host}`, start);
    return host;
  }

  /**
   * Ports behind a host, each with its colon; an empty one is undefined. `most`: how many there may be, `least`: 1,
   * or 0 where the system may choose.
   */
  ports(most: number, least: 0 | 1): Array<number | undefined> {
    const ports: Array<number | undefined> = [];
    const end = this.#at + this.#until(this.#hostEnds).length;
    if (this.#at < end && this.text[this.#at] !== ':')
      this.fail(`unexpected "${this.text.slice(this.#at, end)}" behind the address`);
    while (this.#at < end) {
      this.#at += 1;
      const field = ports.length + 1 < most ? this.#until(`:${this.#hostEnds}`) : this.#until(this.#hostEnds);
      ports.push(this.#port(field, least));
      this.#at += field.length;
    }
    return ports;
  }

  /** All the rest. */
  take(): string {
    const rest = this.rest;
    this.#at = this.text.length;
    return rest;
  }

  #port(field: string, least: 0 | 1): number | undefined {
    if (field === '') return undefined;
    if (!/^\d+$/.test(field)) this.fail(`"${field}" is no port number`);
    const port = Number(field);
    if (port > 65_535) this.fail(`port ${field} is larger than 65535`);
    if (port < least) this.fail('port 0 is no port to connect to');
    return port;
  }

  #bracketed(authority: string): string {
    const end = authority.indexOf(']');
    if (end < 0) this.fail('the bracket of the IPv6 address is not closed');
    const host = authority.slice(1, end);
    if (!isIPv6(host)) this.fail(`"${host}" is no IPv6 address`, this.#at + 1);
    this.#at += end + 1;
    return host;
  }

  #name(authority: string): string {
    const [host = ''] = authority.split(':', 1);
    if (host === '') this.fail('no host name or address');
    const bad = /[^\p{L}\p{N}._-]/u.exec(host);
    if (bad !== null) this.fail(`"${bad[0]}" stands in no host name`, this.#at + bad.index);
    this.#at += host.length;
    return host;
  }

  #until(signs: string): string {
    let end = this.#at;
    while (end < this.text.length && !signs.includes(this.text.charAt(end))) end += 1;
    return this.text.slice(this.#at, end);
  }
}
