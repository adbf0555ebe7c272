/** Where a socket listens or connects: TCP, or a Unix socket's path. `family`: the IP version, where it matters. */
export type Address = { host: string; port: number; family?: 4 | 6; path?: never } | { path: string };

/** `[::1]:5342`, `relay:5342`, `/run/x.sock`: as it stands in log lines. */
export function addressText(address: Address): string {
  if (address.path !== undefined) return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
