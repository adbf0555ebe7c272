/** What a server says about itself. */
import { addressText } from '../../network/address.ts';
import { type Export, isReadOnly } from '../export.ts';
import { describe } from './agreement.ts';
import type { Connection } from './connection.ts';
import type { Counters } from './context.ts';
import type { NbdServer } from './server.ts';

/** Sizes in bytes, times in seconds. */
export interface NbdServerStatus {
  addresses: string[];
  clientsAllowed: boolean;
  access: { entries: readonly string[]; defaultDeny: boolean };
  exports: {
    name: string;
    path: string;
    sizeBytes: number;
    readOnly: boolean;
    allocationMap: 'building' | 'built' | 'unknown';
    allocatedBytes: number;
  }[];
  clients: ({
    peer: string;
    /** undefined while it negotiates. */
    exportName: string | undefined;
    agreed: string | undefined;
    connectedS: number;
    inFlight: number;
  } & Counters)[];
}

export function statusOf(
  { addresses, admits, access, exports }: NbdServer,
  connections: readonly Connection[],
): NbdServerStatus {
  return {
    addresses: addresses.map(addressText),
    clientsAllowed: admits,
    access: { entries: access.entries, defaultDeny: access.defaultDeny },
    exports: exports.map(exportStatus),
    clients: connections.map((connection) => ({
      peer: connection.peer,
      exportName: connection.agreement?.served.name,
      agreed: connection.agreement === undefined ? undefined : describe(connection.agreement),
      connectedS: Math.round(performance.now() - connection.startedMs) / 1000,
      inFlight: connection.inFlight,
      ...connection.counters,
    })),
  };
}

function exportStatus(served: Export): NbdServerStatus['exports'][number] {
  const { image, name } = served;
  const { allocatedBytes, state } = image.allocationMap;
  const { path, sizeBytes } = image;
  return { name, path, sizeBytes, readOnly: isReadOnly(served), allocationMap: state, allocatedBytes };
}
