/** The status of a disk server as a page of text. */
import { printable } from '../errors.ts';
import type { NbdServerStatus } from '../nbd/index.ts';
import { bytesText, textTable } from './table.ts';

/** A status and when it was taken, milliseconds since 1970. */
export interface DiskStatusSample {
  status: NbdServerStatus;
  atMs: number;
}

/** Whether what a control socket has answered is the status of a disk server. */
export function isDiskStatus(status: object): status is NbdServerStatus {
  return 'exports' in status && 'clientsAllowed' in status;
}

/** Lines for a terminal: the server, its exports, its clients. Rates are those between `before` and `now`. */
export function formatDiskStatus({ status, atMs }: DiskStatusSample, before?: DiskStatusSample): string {
  const { access, addresses, clients, clientsAllowed, exports } = status;
  const entries = access.entries.map((entry) => printable(entry)).join(' ');
  const lines = [
    `  listening  ${addresses.map((address) => printable(address)).join(', ')}`,
    `  access     ${entries === '' ? (access.defaultDeny ? 'nobody' : 'everybody') : entries}`,
    `  clients    ${clients.length}${clientsAllowed ? '' : ', SHUT OUT'}`,
    '',
    ...textTable(
      [
        ['export', 'size', 'allocated', 'map', 'image'],
        ...exports.map((each) => [
          JSON.stringify(each.name),
          bytesText(each.sizeBytes),
          each.allocationMap === 'unknown' ? '?' : bytesText(each.allocatedBytes),
          each.allocationMap,
          `${printable(each.path)}${each.readOnly ? ' (read-only)' : ''}`,
        ]),
      ],
      new Set([1, 2]),
    ),
  ];
  if (clients.length > 0) lines.push('', ...clientTable(status, before, atMs));
  return `${lines.join('\n')}\n`;
}

function clientTable(
  { clients }: NbdServerStatus,
  before: DiskStatusSample | undefined,
  atMs: number,
): string[] {
  const earlier = new Map(before?.status.clients.map((client) => [client.peer, client]));
  const seconds = before === undefined ? 0 : (atMs - before.atMs) / 1000;
  const rate = (now: number, then: number | undefined): string =>
    then === undefined || seconds <= 0 ? '-' : `${bytesText(Math.max(0, now - then) / seconds)}/s`;
  const rows = clients.map((client) => {
    const then = earlier.get(client.peer);
    return [
      printable(client.peer),
      client.exportName === undefined ? '-' : JSON.stringify(client.exportName),
      client.agreed ?? 'negotiating',
      `${client.inFlight}`,
      `${client.requests}`,
      `${client.failed}`,
      bytesText(client.bytesRead),
      rate(client.bytesRead, then?.bytesRead),
      bytesText(client.bytesWritten),
      rate(client.bytesWritten, then?.bytesWritten),
    ];
  });
  const heading = 'client export protocol in-flight requests failed read rate written rate'.split(' ');
  return textTable([heading, ...rows], new Set([3, 4, 5, 6, 7, 8, 9]));
}
