/** Which connections an address stands for, in a recording or a replay. */
import type { Address } from '../network/address.ts';
import type { Uri } from '../network/uri.ts';
import { defaultPorts, UriText } from '../network/uri-parts.ts';
import type { ConnectionRole } from './conversation.ts';
import type { RecordedPort } from './recorder.ts';

/** Addresses by the role of who connects there. */
export type Ports = Partial<Record<ConnectionRole, Address>>;

/**
 * The ports of a server: `net://` those of a relay for producers, `live://` the one for viewers, `nbd://` a disk
 * server's, `tcp://` any other. Throws MR_ERR_NETWORK_URI for an address that is no server's.
 */
export function portsOf(uri: Uri): Ports {
  if (uri.kind === 'relay') {
    const { host, family, controlPort, dataPort } = uri;
    return { control: { host, family, port: controlPort }, data: { host, family, port: dataPort } };
  }
  if (uri.kind === 'live')
    return { live: { host: uri.host, port: uri.port, ...(uri.family && { family: uri.family }) } };
  if (uri.kind === 'nbd' && !uri.tls) return { nbd: uri.address };
  if (uri.kind === 'endpoint' && uri.transport === 'tcp')
    return { other: { host: uri.host, family: uri.family, port: uri.port ?? defaultPorts.control } };
  return new UriText(uri.text).fail('expected net://, live://, nbd://, nbd+unix:// or tcp://');
}

/** The same ports to listen on: `localhost` is one address. */
export function listenPortsOf(uri: Uri): Ports {
  const here = ([role, address]: [string, Address]): [string, Address] => {
    if (address.path !== undefined || address.host !== 'localhost') return [role, address];
    return [role, { ...address, host: address.family === 6 ? '::1' : '127.0.0.1' }];
  };
  return Object.fromEntries(Object.entries(portsOf(uri)).map(here));
}

/** What stands between `listen` and `server`. Throws MR_ERR_NETWORK_URI where they are not of one kind. */
export function recordedPorts(listen: Uri, server: Uri): RecordedPort[] {
  const [here, there] = [listenPortsOf(listen), portsOf(server)];
  return (Object.entries(there) as Array<[ConnectionRole, Address]>).map(([role, address]) => {
    const at =
      here[role] ?? new UriText(listen.text).fail(`no place to listen for what goes to ${server.text}`);
    return { role, listen: at, server: address };
  });
}
