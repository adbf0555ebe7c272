/** What a relay tells of itself. */
import { StreamWriter } from '../disk/stream-writer.ts';
import { version } from '../version.ts';
import type { RelayAddresses, RelayStatus, SessionStatus, StreamStatus } from './options.ts';
import type { RelaySession, RelayStream } from './session.ts';
import type { RelayState } from './state.ts';
import type { ViewerDoor } from './viewer/door.ts';

/** A snapshot of the relay's tables and ledgers. */
export function relayStatus(
  state: RelayState,
  startedMs: number,
  addresses: RelayAddresses,
  connections: RelayStatus['connections'],
  viewers: ViewerDoor,
): RelayStatus {
  const { store, options, totals } = state;
  const { env, totals: stored } = store.context;
  return {
    version,
    pid: process.pid,
    startedMs,
    outputPath: options.outputPath,
    addresses,
    durability: options.durability,
    locks: env.locks !== undefined,
    connections,
    viewers: viewers.status(),
    unreadPackets: viewers.lostPackets,
    sessions: [...state.sessions.values()].map(sessionStatus),
    totals: { ...totals, ...stored },
    bytesInFlight: env.bytesInFlight,
    slabsInUse: state.pool.inUse,
    files: {
      open: env.pool.openFiles,
      suspended: env.pool.suspendedFiles,
      waiting: env.pool.waitingFiles,
    },
    waitingForSpace: store.context.space.waiting,
    traceChunks: store.chunksInUse,
    lost: store.lost,
    refused: state.refused,
    ...(state.forwarder && { forward: state.forwarder.status }),
    lockConflicts: env.lockConflicts,
  };
}

function sessionStatus(session: RelaySession): SessionStatus {
  const { open, owner, totals } = session;
  const streams = [...session.streams.values()].map(streamStatus);
  const sum = { ...totals };
  for (const { writer } of session.streams.values()) {
    sum.packets += writer.ledger.packets;
    sum.bytes += writer.ledger.bytes;
    sum.metadataBytes += writer.ledger.metadataBytes;
  }
  return {
    id: session.id,
    hostname: open.hostname,
    name: open.sessionName,
    peer: owner.peer,
    minor: open.minor,
    live: open.liveTimerUs > 0,
    snapshot: open.snapshot,
    path: session.path,
    createdMs: session.createdMs,
    connected: session.connected,
    ...sum,
    streams,
  };
}

function streamStatus({ handle, writer }: RelayStream): StreamStatus {
  const { packets, bytes, lostPackets } = writer.ledger;
  return {
    handle,
    name: writer.name,
    path: writer.path,
    packets,
    bytes,
    committedBytes: writer.committedBytes,
    halfPackets: writer instanceof StreamWriter ? writer.halfPackets : 0,
    lostPackets,
    closed: writer.closed,
  };
}
