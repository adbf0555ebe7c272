/** What a relay is told, and what it tells. */
import type { Limits } from '../limits.ts';
import type { ForwardOptions, ForwardStatus } from './forward/options.ts';
import type { FrameTap } from './tap.ts';

/** A TCP address to listen on. `port` 0: chosen by the system, reported in `Relay.addresses`. */
export interface ListenAddress {
  host: string;
  port: number;
}

/** SO_KEEPALIVE on accepted producer connections; a value of 0 or -1 leaves the system's. */
export interface KeepAlive {
  enabled: boolean;
  idleTimeS: number;
  probeIntervalS: number;
  maxProbeCount: number;
}

/**
 * When a packet counts as committed: `none` when it is written (as lttng-relayd leaves it), `sync` when the
 * next sync point has made it durable, `packet` when it was made durable at once.
 */
export type Durability = 'none' | 'sync' | 'packet';

/** A trace chunk that is complete: at its last place, and nobody will write into it any more. */
export interface CompleteChunk {
  /** Absolute: `…/archives/NAME`, a snapshot's directory, or that of a session that never rotated. */
  path: string;
  hostname: string;
  sessionName: string;
  id: bigint;
}

export interface RelayOptions {
  /** Absolute path of the output directory. */
  outputPath: string;
  groupOutputBy: 'host' | 'session';
  control: ListenAddress;
  data: ListenAddress;
  live: ListenAddress;
  /** For packets of millrace's network consumer that come as datagrams; absent: not taken. */
  udp?: ListenAddress;
  disallowClear: boolean;
  keepAlive: KeepAlive;
  /** Send and receive time-out of producer sockets, milliseconds; 0 = none. */
  socketTimeoutMs: number;
  /** Descriptors of the process: files get what connections and the process itself leave of them. */
  fdPoolSize: number;
  durability: Durability;
  /** Milliseconds between sync points; only with durability `sync`. */
  syncIntervalMs: number;
  /** Bytes of free space kept for metadata and indexes: packets wait when nothing else is left; 0: none. */
  keepFreeBytes: number;
  /**
   * Told of each chunk that is complete, once, whoever wrote into it; not of those that were deleted, that hold no
   * file, or that producers before 2.11 wrote. Called between two steps of the relay: it must not throw.
   */
  onChunkComplete?: (chunk: CompleteChunk) => void;
  /** Other relays that get what producers send; absent: none. */
  forward?: ForwardOptions;
  /** Pass sessions on for a network consumer that names the way. */
  allowHops?: boolean;
  /** Gets what producers send, in place of the output directory; absent: nobody does. */
  tap?: FrameTap;
  limits: Limits;
}

/** Addresses that a running relay listens on, with the ports the system chose. */
export interface RelayAddresses {
  control: ListenAddress;
  data: ListenAddress;
  live: ListenAddress;
  udp?: ListenAddress;
}

export interface StreamStatus {
  handle: number;
  name: string;
  /** Path of the CTF trace, relative to the output directory. */
  path: string;
  packets: number;
  bytes: number;
  /** Bytes up to which readers may read: the end of the last committed packet. */
  committedBytes: number;
  /** Packets of which only the data or only the index has come. */
  halfPackets: number;
  lostPackets: number;
  closed: boolean;
}

export interface SessionStatus {
  id: number;
  hostname: string;
  name: string;
  /** Address of the producer's control connection. */
  peer: string;
  minor: number;
  live: boolean;
  snapshot: boolean;
  /** Directory of the session, relative to the output directory. */
  path: string;
  /** Milliseconds since 1970. */
  createdMs: number;
  connected: boolean;
  packets: number;
  bytes: number;
  metadataBytes: number;
  streams: StreamStatus[];
}

/** A session that a viewer is attached to. */
export interface ViewedStatus {
  /** The relay session's. */
  id: number;
  hostname: string;
  name: string;
  /** Streams that it has not read to their end. */
  streams: number;
  /** Packets that were overwritten before it read them. */
  lostPackets: number;
}

export interface ViewerStatus {
  peer: string;
  /** Minor that both sides use; 0 before it has said its own. */
  minor: number;
  /** It is a millrace viewer. */
  isMillrace: boolean;
  /** Milliseconds since 1970. */
  connectedMs: number;
  /** What it was given. */
  packets: number;
  bytes: number;
  /** Bytes that it was sent and has not taken. */
  waitingBytes: number;
  sessions: ViewedStatus[];
}

export interface RelayStatus {
  version: string;
  pid: number;
  /** Milliseconds since 1970. */
  startedMs: number;
  outputPath: string;
  addresses: RelayAddresses;
  durability: Durability;
  /** false: koffi is missing, files are written without range locks. */
  locks: boolean;
  /** `live`: viewers. */
  connections: { control: number; data: number; live: number; strangers: number };
  viewers: ViewerStatus[];
  /** Packets that viewers who have gone had not read when they were overwritten. */
  unreadPackets: number;
  sessions: SessionStatus[];
  totals: { sessions: number; streams: number; packets: number; bytes: number; metadataBytes: number };
  /** Bytes that were received and are not yet written. */
  bytesInFlight: number;
  slabsInUse: number;
  /** Files of streams: with a descriptor, closed for a while to save one, and waiting for one. */
  files: { open: number; suspended: number; waiting: number };
  /** Data connections that are held back because the disk is full. */
  waitingForSpace: number;
  /** Trace chunks that somebody still writes into. */
  traceChunks: number;
  /** Packets or bytes that were lost, by cause; empty when nothing was. */
  lost: Record<string, { packets: number; bytes: number }>;
  /** Connections that were ended for bad input, by error code. */
  refused: Record<string, number>;
  /** What goes on to other relays; absent: nothing does. */
  forward?: ForwardStatus;
  /** Locks that somebody else held, so that the writer went on without. */
  lockConflicts: number;
}

/** A relay daemon inside this process. */
export interface Relay {
  /** Resolves when all listeners accept. Rejects MR_ERR_NETWORK_LISTEN, MR_ERR_DISK_IN_USE, MR_ERR_DISK_CREATE. */
  start(): Promise<void>;
  readonly addresses: RelayAddresses;
  status(): RelayStatus;
  /** The parts that are unwell, a bit for each (`healthBit`); 0: all are well, or nothing has started. */
  health(): number;
  /** Stops accepting, finishes what was received, closes every file; resolves when nothing is open any more. */
  close(): Promise<void>;
  /** Ends at once; what was not committed is cut. */
  destroy(): void;
}
