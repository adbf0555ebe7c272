/**
 * Between two millrace programs: packets over UDP, and the commands that the control connection carries for them. A
 * producer may ask for what is private with a bit in GET_CONFIGURATION's query; LTTng's relays answer that with an
 * error and stay usable, its producers never send it.
 */
import { limits } from '../../limits.ts';
import { list, rest, struct, u32, u64 } from '../../schema/index.ts';

/** The bit in `queryFlags` that asks for private features. */
export const privateQuery = 1n << 63n;

/** What a relay that was asked so can do, in the flags of its reply. */
export const privateFeatures = { udp: 1n << 62n, forwarding: 1n << 61n, hops: 1n << 60n } as const;

/** UDP_OPEN: the session's packets will come as datagrams. */
export const udpOpen = struct('udpOpen', []);

export const udpOpenReply = struct('udpOpenReply', [
  ['ret', u32, 'return code'],
  ['port', u32, 'where datagrams go'],
  ['bufferBytes', u32, "bytes, with the system's own, that wait there unread before some are lost"],
  ['token', u64, 'what the datagrams of this session carry', 'random'],
]);

/** How far one stream was sent. */
export const udpSentStream = struct('udpSentStream', [
  ['streamId', u64, 'relay handle'],
  ['firstNetSeqNum', u64, 'the first packet of the stream'],
  ['lastNetSeqNum', u64, 'the last one whose datagrams were all sent'],
]);

/** UDP_SENT: whatever of these datagrams has not come after a while is lost. */
export const udpSent = struct('udpSent', [
  ['datagrams', u64, 'sent so far: every sequence below'],
  ['streamCount', u32, ''],
  ['streams', list('streamCount', udpSentStream, { max: limits.streamsPerSession }), ''],
]);

export const udpSentReply = struct('udpSentReply', [
  ['ret', u32, 'return code'],
  ['received', u64, 'datagrams that have come so far, each counted once'],
  ['lostPackets', u64, 'packets given up so far'],
]);

/** One datagram: a fragment of a packet. All fragments but the last of a packet are of one size. */
export const datagram = struct('datagram', [
  ['token', u64, 'of the session'],
  ['sequence', u64, 'datagrams sent before it'],
  ['streamId', u64, 'relay handle'],
  ['netSeqNum', u64, 'packets sent'],
  ['dataSizeBytes', u32, 'bytes', 'of the packet, in all its fragments'],
  ['paddingSizeBytes', u32, 'bytes', 'zeros to append in the file, not transmitted'],
  ['fragment', u32, 'fragments of the packet before it'],
  ['offsetBytes', u32, 'bytes', 'where it begins in the packet'],
  ['bytes', rest, ''],
]);

/** Bytes of a datagram in front of its part of the packet. */
export const datagramHeaderBytes = datagram.minSizeBytes;

/** Bytes of IP and UDP around a datagram, at the most: they are a part of what a link can carry (`--mtu`). */
export const udpOverheadBytes = 48;
