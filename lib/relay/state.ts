/** What all connections of one relay share: tables, counters, memory. */
import type { TraceStore } from '../disk/trace-store.ts';
import type { Limits } from '../limits.ts';
import type { SlabPool } from '../stage/slab.ts';
import type { Forwarder } from './forward/forwarder.ts';
import type { RelayOptions } from './options.ts';
import type { RelaySession, RelayStream } from './session.ts';
import type { FrameTap } from './tap.ts';
import type { UdpReceiver } from './udp/receiver.ts';

/** See the file's head. */
export interface RelayState {
  readonly options: RelayOptions;
  readonly limits: Limits;
  readonly store: TraceStore;
  readonly pool: SlabPool;
  /** The buffer that idle sockets share. */
  readonly scratch: Buffer;
  readonly sessions: Map<number, RelaySession>;
  /** By handle; handles count from 1 over the whole relay and are never used again. */
  readonly streams: Map<number, RelayStream>;
  lastSession: number;
  lastStream: number;
  totals: { sessions: number; streams: number };
  /** Connections ended for bad input, by error code. */
  readonly refused: Record<string, number>;
  /** Takes packets that come as datagrams; undefined: nobody listens for them. */
  udp: UdpReceiver | undefined;
  /** Who is about to take up the session of a token: the last one that asked. */
  readonly takers: Map<string, object>;
  /** Passes everything on; undefined: nothing is. */
  readonly forwarder: Forwarder | undefined;
  /** Who gets what producers send, the forwarder among them. */
  readonly taps: readonly FrameTap[];
  /** A session has no connection and no stream any more. */
  sessionEnded(session: RelaySession): void;
}
