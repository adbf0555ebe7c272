/** The status of a relay as a page of text. */
import { printable } from '../errors.ts';
import type {
  ListenAddress,
  RelayStatus,
  SessionStatus,
  StreamStatus,
  ViewerStatus,
} from '../relay/options.ts';
import { bytesText, durationText, textTable } from './table.ts';

/** A status and when it was taken, milliseconds since 1970. */
export interface StatusSample {
  status: RelayStatus;
  atMs: number;
}

/** What grows while data comes. */
interface Counted {
  packets: number;
  bytes: number;
}

/**
 * Lines for a terminal: the relay, then a table of sessions with their streams, then what was lost and refused.
 * Rates are those between `before` and `now`; without `before`, or for what is younger, there are none.
 */
export function formatStatus(now: StatusSample, before?: StatusSample): string {
  const { status } = now;
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000;
  const rates = (after: Counted, earlier: Counted | undefined): [packets: string, bytes: string] =>
    earlier === undefined || seconds <= 0
      ? ['-', '-']
      : [
          `${Math.round((after.packets - earlier.packets) / seconds)}/s`,
          `${bytesText(Math.max(0, after.bytes - earlier.bytes) / seconds)}/s`,
        ];
  const [packetRate, byteRate] = rates(status.totals, before?.status.totals);
  const { totals, connections, addresses, sessions, files } = status;
  const earlier = new Map(before?.status.sessions.map((session) => [session.id, session]));
  const lines = [
    `millrace ${status.version}, pid ${status.pid}, up ${durationText(now.atMs - status.startedMs)}`,
    `  output     ${printable(status.outputPath)}, durability ${status.durability}${status.locks ? '' : ', WITHOUT range locks'}`,
    `  listening  control ${address(addresses.control)}, data ${address(addresses.data)}, live ${address(addresses.live)}`,
    `  connected  ${connections.control} control, ${connections.data} data, of these ${connections.strangers} without session; ${connections.live} viewers`,
    `  received   ${totals.packets} packets (${packetRate}), ${bytesText(totals.bytes)} (${byteRate}), ${bytesText(totals.metadataBytes)} of metadata, in ${totals.sessions} sessions`,
    `  in flight  ${bytesText(status.bytesInFlight)} in ${status.slabsInUse} slabs${waitingText(status)}`,
    `  files      ${files.open} open, ${files.suspended} suspended, ${files.waiting} waiting for a descriptor`,
    `  lost       ${lossText(status)}${unreadText(status)}`,
    `  refused    ${countText(status.refused)}; range locks held by others ${status.lockConflicts}`,
  ];
  if (sessions.length > 0) lines.push('', ...sessionTable(sessions, earlier, rates));
  if (status.viewers.length > 0) lines.push('', ...viewerTable(status.viewers));
  return `${lines.join('\n')}\n`;
}

function sessionTable(
  sessions: readonly SessionStatus[],
  earlier: ReadonlyMap<number, SessionStatus>,
  rates: (after: Counted, before: Counted | undefined) => [packets: string, bytes: string],
): string[] {
  const rows = [['SESSION', 'STATE', 'PACKETS', 'RATE', 'BYTES', 'RATE', 'COMMITTED', 'HALF', 'LOST']];
  const sum = (streams: readonly StreamStatus[], key: 'committedBytes' | 'halfPackets' | 'lostPackets') =>
    streams.reduce((total, stream) => total + stream[key], 0);
  for (const session of sessions) {
    const { streams } = session;
    const before = earlier.get(session.id);
    const known = new Map(before?.streams.map((stream) => [stream.handle, stream]));
    const [packetRate, byteRate] = rates(session, before);
    rows.push([
      `${session.id} ${printable(session.hostname)}/${printable(session.name)}`,
      stateText(session),
      String(session.packets),
      packetRate,
      bytesText(session.bytes),
      byteRate,
      bytesText(sum(streams, 'committedBytes')),
      String(sum(streams, 'halfPackets')),
      String(sum(streams, 'lostPackets')),
    ]);
    for (const stream of streams) {
      const [streamPacketRate, streamByteRate] = rates(stream, known.get(stream.handle));
      rows.push([
        `  ${printable(stream.path)}/${printable(stream.name)}`,
        stream.closed ? 'closed' : 'open',
        String(stream.packets),
        streamPacketRate,
        bytesText(stream.bytes),
        streamByteRate,
        bytesText(stream.committedBytes),
        String(stream.halfPackets),
        String(stream.lostPackets),
      ]);
    }
  }
  return textTable(rows, new Set([2, 3, 4, 5, 6, 7, 8]));
}

/** A row for each session that a viewer is attached to, and one for a viewer that is attached to none. */
function viewerTable(viewers: readonly ViewerStatus[]): string[] {
  const rows = [['VIEWER', 'SESSION', 'PACKETS', 'BYTES', 'WAITING', 'STREAMS', 'LOST']];
  for (const { peer, minor, isMillrace, packets, bytes, waitingBytes, sessions } of viewers) {
    const name = `${peer}, ${isMillrace ? 'millrace ' : ''}2.${minor}`;
    const given = [String(packets), bytesText(bytes), bytesText(waitingBytes)];
    if (sessions.length === 0) rows.push([name, '-', ...given, '0', '0']);
    for (const [at, session] of sessions.entries())
      rows.push([
        at === 0 ? name : '',
        `${session.id} ${printable(session.hostname)}/${printable(session.name)}`,
        ...(at === 0 ? given : ['', '', '']),
        String(session.streams),
        String(session.lostPackets),
      ]);
  }
  return textTable(rows, new Set([2, 3, 4, 5, 6]));
}

function stateText({ connected, live, snapshot, minor }: SessionStatus): string {
  const kind = live ? 'live' : snapshot ? 'snapshot' : 'streaming';
  return `${connected ? kind : `${kind}, gone`}, 2.${minor}`;
}

function address({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function lossText({ lost }: RelayStatus): string {
  const causes = Object.entries(lost).map(
    ([cause, { packets, bytes }]) => `${printable(cause)}: ${packets} packets, ${bytesText(bytes)}`,
  );
  return causes.length === 0 ? 'nothing' : causes.join('; ');
}

/** What is on the disk, or was, and viewers never had. */
function unreadText({ unreadPackets, viewers }: RelayStatus): string {
  const unread = viewers.reduce(
    (sum, { sessions }) => sessions.reduce((all, { lostPackets }) => all + lostPackets, sum),
    unreadPackets,
  );
  return unread === 0 ? '' : `; to viewers ${unread} packets that were overwritten or cleared unread`;
}

function waitingText({ waitingForSpace }: RelayStatus): string {
  return waitingForSpace === 0 ? '' : `; ${waitingForSpace} data connections WAIT FOR FREE SPACE`;
}

function countText(counts: Readonly<Record<string, number>>): string {
  const shown = Object.entries(counts).map(([code, count]) => `${code} ${count}`);
  return shown.length === 0 ? 'nothing' : shown.join(', ');
}
