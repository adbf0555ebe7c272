/**
 * Frames: the facts about a trace that move between stages. Sources turn their outside into frames, sinks turn
 * frames into their outside. A frame names its session and stream by the handle its source gave out.
 *
 * Bytes in a frame are ranges of the batch's slab, never copies: `start` and `end` are offsets into
 * `batch.bytes`, valid until the batch is released.
 */

/** Who traced, and where it came from. */
export interface SessionOpen {
  kind: 'sessionOpen';
  session: number;
  hostname: string;
  sessionName: string;
  /** 32 hexadecimal digits; empty for producers before 2.11. */
  sessiondUuid: string;
  /** The sessiond's own session id; undefined for producers before 2.11. */
  idSessiond: bigint | undefined;
  /** Seconds since 1970; undefined where the producer did not say. */
  creationTimeS: bigint | undefined;
  nameHasCreationTime: boolean;
  basePath: string;
  /** Microseconds; 0 = not live. */
  liveTimerUs: number;
  snapshot: boolean;
  /** Negotiated protocol minor, 1 to 15. */
  minor: number;
  traceFormat: 'ctf-1.8' | 'ctf-2';
}

export interface SessionEnd {
  kind: 'sessionEnd';
  session: number;
  /** `end`: the producer finished; `abort`: its connection broke or violated the protocol. */
  outcome: 'end' | 'abort';
}

/** One CTF data stream, or the metadata stream of a CTF trace (channel name `metadata`). */
export interface StreamOpen {
  kind: 'streamOpen';
  session: number;
  stream: number;
  channelName: string;
  /** Relative to the chunk (minor >= 11) or to the output directory (below). Checked by the sink. */
  path: string;
  /** Bytes; 0 = unlimited. */
  tracefileSizeBytes: bigint;
  tracefileCount: bigint;
}

export interface StreamEnd {
  kind: 'streamEnd';
  session: number;
  stream: number;
  /** Last net_seq_num sent; undefined: none was. */
  lastNetSeqNum: bigint | undefined;
}

/** All streams opened so far may be shown to viewers. */
export interface Published {
  kind: 'published';
  session: number;
}

/** Bytes of one trace's metadata. A whole metadata command ends with `last`. */
export interface Metadata {
  kind: 'metadata';
  session: number;
  stream: number;
  /** 0, then +1 with each regeneration: a new version begins an empty file. */
  version: number;
  start: number;
  end: number;
  last: boolean;
  /** Zero bytes that follow the text of this command; only with `last`. */
  paddingSizeBytes: number;
}

/** Bytes of a CTF packet, or of a part of it. */
export interface Data {
  kind: 'data';
  stream: number;
  netSeqNum: bigint;
  /** Offset of `start` in the packet, bytes. */
  offsetBytes: number;
  /** Bytes of the packet that are transmitted, in all its parts, without padding. */
  dataSizeBytes: number;
  start: number;
  end: number;
  last: boolean;
  /** Zero bytes that follow the content in the file, not transmitted; only acted on with `last`. */
  paddingSizeBytes: number;
}

/** The record that publishes a packet. */
export interface Index {
  kind: 'index';
  stream: number;
  netSeqNum: bigint;
  packetSizeBits: bigint;
  contentSizeBits: bigint;
  timestampBeginCycles: bigint;
  timestampEndCycles: bigint;
  eventsDiscarded: bigint;
  streamClassId: bigint;
  /** undefined: the producer (before 2.8) does not know it. */
  streamInstanceId: bigint | undefined;
  packetSeqNum: bigint | undefined;
  /** Metadata bytes of the stream's trace that were known when the index came. */
  metadataPositionBytes: number;
}

/** A packet that will never come. */
export interface Lost {
  kind: 'lost';
  stream: number;
  netSeqNum: bigint;
  cause: string;
  /** What had been announced of it, if its index came. */
  index: Index | undefined;
}

/** Sync beacon: for each stream the last number that may safely be read. */
export interface Sync {
  kind: 'sync';
  session: number;
  safe: ReadonlyArray<{ stream: number; netSeqNum: bigint }>;
}

/** LTTng's live beacon: until this time the stream had nothing to say. */
export interface Inactive {
  kind: 'inactive';
  stream: number;
  netSeqNum: bigint;
  streamClassId: bigint;
  timestampEndCycles: bigint;
}

export interface ChunkOpen {
  kind: 'chunkOpen';
  session: number;
  chunk: bigint;
  creationTimeS: bigint;
  /** A name that replaces the usual one (snapshots); undefined: none. */
  overrideName: string | undefined;
}

/** A stream goes over to another chunk at exactly this packet, or to none. */
export interface Switch {
  kind: 'switch';
  stream: number;
  /** First packet_seq_num that belongs to the next chunk; ignored for metadata. */
  atPacketSeqNum: bigint;
  chunk: bigint | undefined;
}

export interface ChunkDone {
  kind: 'chunkDone';
  session: number;
  chunk: bigint;
  closeTimeS: bigint;
  action: 'none' | 'moveToCompleted' | 'delete';
}

/** Every frame there is. */
export type Frame =
  | SessionOpen
  | SessionEnd
  | StreamOpen
  | StreamEnd
  | Published
  | Metadata
  | Data
  | Index
  | Lost
  | Sync
  | Inactive
  | ChunkOpen
  | Switch
  | ChunkDone;

/** The names of all frames. */
export type FrameKind = Frame['kind'];
