/**
 * Every ceiling of millrace with its default and unit. Lengths that come from outside are compared with one of
 * these before memory is taken; tests lower them through the options that name them.
 */
export const limits = {
  /** Payload of one control request. Source: relays >= 2.11 close at 134217729 bytes. */
  controlPayloadBytes: 134_217_728,
  /** Characters, without NUL. Source: relay-protocol, "Limits". */
  sessionNameLength: 254,
  hostnameLength: 255,
  basePathLength: 4095,
  channelNameLength: 263,
  streamPathLength: 254,
  chunkNameLength: 254,
  /** One name of the file system (Linux NAME_MAX), bytes. */
  fileNameBytes: 255,
  /** Paths that go into a reply are shorter than this, bytes with NUL. */
  replyPathBytes: 4096,
  /** Streams of one relay session, and of the whole process. */
  streamsPerSession: 65_536,
  streams: 262_144,
  /** How long a session that may be taken up again is remembered without being asked for, days. */
  resumeDays: 30,
  /** Packets of one stream of which one half (data or index) is still missing. */
  halfPacketsPerStream: 65_536,
  /** Frames that one order stage holds back until what precedes them has come. */
  orderHeldFrames: 65_536,
  /** Slabs those frames may lie in: less than a session's quota, or nothing could come to fill the hole. */
  orderHeldSlabs: 4,
  /** A packet that is read from a file whole, bytes: as much as the largest sub-buffers that are in use. */
  packetBytes: 268_435_456,
  /** A record of an index file, bytes: later versions may append fields to the 72 of today. */
  indexRecordBytes: 4096,
  /** Metadata of one trace that is parsed, bytes. */
  metadataBytes: 67_108_864,
  /** Words and signs of one declaration of it, and of all that are kept (those of events are not). */
  metadataTokens: 2_000_000,
  /** One object of CTF 2 metadata, bytes. */
  metadataFragmentBytes: 4_194_304,
  /** All of them that are kept (those of events are not), bytes. */
  metadataKeptBytes: 16_777_216,
  /** A word, number or string of metadata, characters. */
  metadataTokenLength: 65_536,
  /** Types inside types inside types of metadata. */
  metadataDepth: 128,
  /** Header and context of a packet, bytes. */
  packetHeaderBytes: 1_048_576,
  /** Fields of them, elements of arrays counted one by one where they cannot be skipped together. */
  packetHeaderFields: 65_536,
  /** Fields of all events of a trace, types spelled out wherever they are used. */
  layoutFields: 262_144,
  /** Fields of one event, or elements of an array in it, that may take no bits. */
  emptyElements: 65_536,
  /** Packets that a live view holds until slower streams have come as far, bytes: then it goes on without them. */
  viewHeldBytes: 67_108_864,
  /** A pattern of a filter, characters. */
  filterLength: 1024,
  /** Text of one event, bytes. */
  eventTextBytes: 67_108_864,
  /** Tracks of a Perfetto trace that are known at a time: then all are forgotten, and those that go on written again. */
  perfettoTracks: 16_384,
  /** Slices of a Perfetto trace that are open on one track: then what would begin one is an instant. */
  perfettoSliceDepth: 1024,
  /** Datagrams: bytes of packets of one session that are not whole, or not written; what comes then is lost. */
  udpHeldBytes: 67_108_864,
  /** Bytes of the kernel's buffer for datagrams that were not read yet, as far as the system allows. */
  udpReceiveBytes: 8_388_608,
  /** How long a datagram may take longer than word on the control connection that it was sent, milliseconds. */
  udpLateMs: 500,
  /** What a link carries in one piece, unless something else is said, bytes. */
  mtuBytes: 1400,
  /** Packets that one word may declare sent. */
  udpSentPackets: 1_000_000,
  /** Datagrams of one session that came although one before them did not. */
  udpAheadDatagrams: 1_000_000,
  /** Size of a slab: one socket read at the most. */
  slabBytes: 1_048_576,
  /** Slabs of the whole process: bounds the bytes in flight. */
  slabs: 32,
  /** Slabs one session may hold, so that a stalled one cannot starve the others. */
  slabsPerSession: 8,
  /** Slabs that packets on their way to next relays may hold in memory beside: of all sessions, and of one. */
  forwardSlabs: 24,
  forwardSlabsPerSession: 8,
  /** Streams that only passed of which the last packet is remembered. */
  passedStreams: 16_384,
  /** Slabs that packets may not take: requests come in while every packet waits for the disk. */
  requestSlabs: 4,
  /** The buffer that all idle sockets share. */
  scratchBytes: 65_536,
  /** File descriptors that connections may not take: the last ones are for tracefiles. */
  spareDescriptors: 32,
  /** File descriptors that the process needs beside connections and tracefiles. */
  processDescriptors: 32,
  /** Tracefiles that may be open however many connections there are. */
  filesOpenAtLeast: 16,
  /** Seconds without any progress after which a file gives up waiting for a descriptor. */
  descriptorWaitSeconds: 10,
  /** Connections that belong to no session. */
  strangers: 4_096,
  /** Seconds a connection may live without having said who it is. */
  strangerSeconds: 60,
  /** Seconds to wait for packets in flight once a producer's control connection is gone. */
  inFlightSeconds: 10,
  /** Seconds a graceful end may take. */
  closeSeconds: 10,
  /** Seconds a relay may take to answer a replayed request, or to read. */
  replySeconds: 30,
  /** Seconds to connect to a relay in. */
  dialSeconds: 10,
  /** Seconds without progress after which a relay that still reports pending data is given up. */
  pendingSeconds: 60,
  /** Requests to a relay whose replies may be on their way. */
  pipelinedRequests: 1024,
  /** Bytes that wait for a relay's data connection to take them. */
  clientQueuedBytes: 4_194_304,
  /** Ranges one writev call takes (IOV_MAX is 1024). */
  writevRanges: 1000,
  /** Longest pause between two attempts to take a range lock that somebody else holds, milliseconds. */
  lockPollMs: 20,
  /** Free space kept for metadata, without which stored packets cannot be read, unless `--keep-free` says so. */
  metadataReserveBytes: 4 * 1024 * 1024,
  /** Who may ask for the health at a time, and how long asking may take, seconds. */
  healthClients: 64,
  healthClientSeconds: 10,
  /** A part of the relay is unwell when it has not moved for so long. Source: relay-behaviour, "Health socket". */
  healthSeconds: 20,
  /** Commands for complete chunks that run at a time, and chunks that wait for one. */
  chunkCommands: 4,
  chunkCommandQueue: 10_000,
  /** A line of such a command's output, bytes. */
  chunkCommandLineBytes: 4096,
  /** A line on the control socket, bytes. */
  controlLineBytes: 65_536,
  /** One record of a frame log, bytes. */
  logRecordBytes: 134_217_728 + 4096,
  /** Size of the relay's journal from which on it is written anew with only what still matters, bytes. */
  journalBytes: 2_097_152,
  /** Sessions in one list of a relay, and a name in it, bytes: a reader's ceilings. Relays up to 2.14 fit 63 and 254. */
  listedSessions: 65_536,
  listedNameBytes: 4096,
  // migration
  /** The map of what was written since it was sent, bytes: its blocks grow with the disk instead. */
  dirtyMapBytes: 33_554_432,
  /** A name, query or message of NBD, bytes. Source: the NBD protocol, "String values". */
  nbdStringBytes: 4096,
  /** Queries of one meta context option. */
  nbdMetaQueries: 1024,
  /** Data of one option; a longer one is consumed and answered with ERR_TOO_BIG. */
  nbdOptionBytes: 65_536,
  /** An option longer than this ends the connection. */
  nbdAbsurdOptionBytes: 16 * 1024 * 1024,
  /** Options of one connection before it has to make up its mind. */
  nbdOptions: 1024,
  /** Replies to one option: a server may have many exports. */
  nbdReplies: 65_536,
  /** Seconds a client may take from its connection to the end of option haggling. */
  nbdNegotiationSeconds: 60,
  /** Payload of one request of a client that was told the block sizes. Source: nbd-migration, B.10. */
  nbdPayloadBytes: 33_554_432,
  /** A WRITE up to so many times that is consumed and refused; a longer one ends the connection. */
  nbdPayloadFactor: 4,
  /** Extents of one answer to BLOCK_STATUS. The protocol allows 2^20; the client asks again from where it ended. */
  nbdExtents: 16_384,
  /** Requests of one connection that are not answered yet. */
  nbdRequestsInFlight: 256,
  /** Bytes of one piece of data on its way from or to a disk image. */
  nbdPieceBytes: 262_144,
  /** Pieces of the whole process. */
  nbdPieces: 256,
  /** Pieces of one connection, beyond the one that each is sure of. */
  nbdPiecesPerConnection: 16,
  /** Clients of one server at a time, unless told. */
  nbdClients: 64,
  /** Payload of one reply chunk that a client collects: 2^20 extents with 64-bit lengths, bytes. */
  nbdChunkBytes: 16 * 1024 * 1024 + 8,
  /** Requests of a copy that are in flight at a time, and bytes of one. */
  nbdCopyRequests: 16,
  nbdCopyBytes: 262_144,
  /** Bytes of one allocation map; larger images get coarser ones. */
  allocationMapBytes: 8 * 1024 * 1024,
  /** What one step of building it may cover. Source: nbd-migration, C.7. */
  allocationStepBytes: 100 * 1024 * 1024,
  allocationStepExtents: 1000,
  /** One WRITE of a mirror, bytes, and how many are in flight on one connection: memory that a mirror takes. */
  mirrorRequestBytes: 1_048_576,
  mirrorInFlight: 4,
  /** Connections of one mirror to a millrace listener. */
  mirrorConnections: 2,
  /** Ranges of a disk that a listener keeps to know what has come. */
  coverageRanges: 65_536,
  /** Bytes behind the first pass that clients may have changed before these are sent first. */
  mirrorChangedBytes: 67_108_864,
  /** Lines of one command on flexnbd's control socket: an access list with so many entries. */
  flexnbdCommandLines: 4096,
  /** Seconds a client of that socket may take to say its command. */
  flexnbdCommandSeconds: 60,
  /** Viewers of a relay at a time; each may keep one reply waiting. */
  viewers: 256,
  /** Streams of all viewers of a relay together. */
  viewedStreams: 262_144,
  /** Streams of a session that are closed and of which it is known for how many packets; older ones are forgotten. */
  closedStreams: 65_536,
  /** Streams in one reply: the others are in the next. */
  streamsPerReply: 1024,
  /** Packet or metadata bytes that wait for one viewer to take them. */
  viewerPieceBytes: 262_144,
  /** Seconds that a viewer may take to take them. */
  viewerStallSeconds: 60,
  /** Seconds that the places of a millrace viewer that lost its connection are kept for it at the most. */
  viewerKeptSeconds: 600,
  /** How long the same answer without news is held back, milliseconds. Viewers have no time-outs. */
  idleAnswerMs: 100,
  /** The same of a first answer without news, when the viewer has read everything: busy streams have more by then. */
  idleLingerMs: 10,
  /**
   * How long a beacon is kept back, milliseconds: a program that starts has its buffers some time before the relay
   * hears of its streams, and viewers break on what happened before they were told that nothing did.
   */
  beaconGraceMs: 100,
} as const;

/** The type of the table: every ceiling by name. */
export type Limits = { readonly [K in keyof typeof limits]: number };
