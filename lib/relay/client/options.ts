/** What a relay client is told, and what it tells. */
import type { Writable } from 'node:stream';
import type { Address } from '../../network/address.ts';
import type { SessionOpen } from '../../stage/frames.ts';

/** Where a relay listens, and how long it may take. */
export interface RelaySinkOptions {
  control: Address;
  /** Over UDP only to a millrace relay that listens for it. */
  data: Address & { transport?: 'tcp' | 'udp' };
  /** Over UDP: bytes of one datagram on the link, headers of IP and UDP among them; default `limits.mtuBytes`. */
  mtuBytes?: number;
  /** Address that the relay is asked to pass every session on to; it must allow hops. */
  via?: string | undefined;
  /** Highest minor to speak, 1 to 15; a session is never sent with a higher one than its source has. */
  minor?: number;
  /** Another name, host or live timer for each session, just before it is opened; `resumes`: see `SinkProgress`. */
  rename?: (open: SessionOpen, resumes: Resumes) => SessionOpen;
  /**
   * The session may be taken up again at a millrace relay, or is: 16 bytes that nobody else knows, the same each time.
   * `afresh`: what is stored of it is replaced. For a sink of one session.
   */
  resume?: { token: Buffer; afresh: boolean } | undefined;
  /** To connect, name resolution included, milliseconds. */
  dialTimeoutMs?: number;
  /** Without any reply while one is due, or without any byte taken while some wait, milliseconds. */
  replyTimeoutMs?: number;
  /** At the end: without progress of what the relay reports as pending, milliseconds. */
  pendingTimeoutMs?: number;
  /** Between two questions whether something is pending, milliseconds. */
  pendingIntervalMs?: number;
  /** Calls everything off. */
  signal?: AbortSignal;
}

/** Whether the relay goes on with the session (`known`), begins it (`new`), or could never go on with it. */
export type Resumes = 'never' | 'new' | 'known';

/** How far a sink is. Packets and bytes are those of data streams; padding is not counted. */
export interface SinkProgress {
  /** Handed to the connection. */
  packets: number;
  bytes: number;
  /** Packets whose index the relay has acknowledged, or whose last byte was sent where there is no index. */
  acknowledgedPackets: number;
  metadataBytes: number;
  /** Sessions that the relay confirmed to be complete. */
  sessionsDone: number;
  /** The relay is millrace, and can say what it has stored. */
  isMillrace: boolean;
  /** See `RelaySinkOptions.resume`. */
  resumes: Resumes;
  /** Directory of the last session opened, as the relay told it; empty before 2.11. */
  outputPath: string;
  /** Minor that both sides speak; 0 before a session was opened. */
  minor: number;
}

/** A Writable of FrameBatch that ends in a relay. */
export interface RelaySink extends Writable {
  readonly progress: Readonly<SinkProgress>;
  /** Resolves when every packet written so far is stored at the relay; writing may go on meanwhile. */
  stored(): Promise<void>;
}
