/** One stream as the relay at the far end knows it. */
import { isAfter } from '../../disk/ledger.ts';
import type { Index, StreamOpen } from '../../stage/frames.ts';

export class ClientStream {
  readonly open: StreamOpen;
  /** The relay's handle; another one once the stream was opened again. */
  handle: bigint;
  /** The relay has no such stream at the moment: it is in no trace chunk. */
  isGone = false;
  readonly isMetadata: boolean;
  /** Metadata version that the relay has. */
  version = 0;
  /** Bytes of a metadata command that came in parts. */
  text: Buffer[] = [];
  firstSent: bigint | undefined;
  /** Last packet whose last byte was sent. */
  lastSent: bigint | undefined;
  /** The header of its first packet was sent. */
  hasBegun = false;
  /** Packet whose index the relay has acknowledged last. */
  lastAcknowledged: bigint | undefined;
  /** Packet up to which all is known to be stored. */
  lastStored: bigint | undefined;
  /** Packets whose data was sent and whose index has not come yet. */
  readonly unindexed = new Set<bigint>();
  /** Indexes that came before their data: sent behind it. */
  readonly early = new Map<bigint, Index>();
  /** A change of trace chunks is under way: the first packet_seq_num of the next one. */
  switchingAt: bigint | undefined;
  /** A change of trace chunks that came before anything else of it: the first packet tells what it means. */
  undecided: { atPacketSeqNum: bigint; chunk: bigint | undefined } | undefined;
  /** Packet sequence number of the last index that the relay has acknowledged. */
  lastPacketSeqNum: bigint | undefined;
  /** A packet was begun and never came whole: its place was filled, and it gets no index. */
  cutShort = false;

  constructor(open: StreamOpen, handle: bigint) {
    this.open = open;
    this.handle = handle;
    this.isMetadata = open.channelName === 'metadata';
  }

  /** The last packet before which, itself included, everything has been sent with its index. */
  get lastWhole(): bigint | undefined {
    const [half] = this.unindexed;
    if (half === undefined) return this.lastSent;
    return half === this.firstSent ? undefined : BigInt.asUintN(64, half - 1n);
  }

  /** Whether the data of a packet has been sent whole. */
  hasSent(netSeqNum: bigint): boolean {
    return this.lastSent !== undefined && !isAfter(netSeqNum, this.lastSent);
  }

  /** Nothing of it but its name has reached the relay. */
  get isUntouched(): boolean {
    return !this.isMetadata && !this.hasBegun;
  }

  /** The stream goes over to another trace chunk at this packet, unless it has been reached. */
  switching(atPacketSeqNum: bigint): void {
    if (this.isMetadata || (this.lastPacketSeqNum ?? -1n) + 1n >= atPacketSeqNum) return;
    this.switchingAt = atPacketSeqNum;
  }

  /**
   * The relay has an index; ends a change of chunks that it is behind. Not when it is sent: data of the next packet is on
   * another connection, and may be there before it.
   */
  indexAcknowledged(packetSeqNum: bigint | undefined): void {
    if (packetSeqNum === undefined) return;
    this.lastPacketSeqNum = packetSeqNum;
    if (this.switchingAt !== undefined && packetSeqNum + 1n >= this.switchingAt) this.switchingAt = undefined;
  }
}
