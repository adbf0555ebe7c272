/**
 * How far a stream is. Advanced only by the writer, read by everybody: data-pending answers, viewers' cursors,
 * status. Numbers are net_seq_num, which wrap at 2^64 and are compared as signed differences.
 */

/** A point in a stream: the packet's number and the end of it in its data file. */
export interface Mark {
  netSeqNum: bigint | undefined;
  bytes: number;
}

const none: Mark = { netSeqNum: undefined, bytes: 0 };

/** Whether `a` comes after `b`, modulo 2^64. */
export function isAfter(a: bigint, b: bigint): boolean {
  return BigInt.asIntN(64, a - b) > 0n;
}

/** The ledger of one stream; marks only ever move forward while the stream stays in one file. */
export class Ledger {
  /** Last packet whose data is written whole. */
  received: Mark = none;
  /** Last packet whose index has come. */
  indexed: Mark = none;
  /** Last committed packet: data and index record are written (durable, where that is asked for). */
  stored: Mark = none;
  /** Last packet known to be durable. */
  synced: Mark = none;
  packets = 0;
  bytes = 0;
  metadataBytes = 0;
  lostPackets = 0;
  lostBytes = 0;
  /** Time up to which an idle live stream had nothing to say, in the trace's clock; undefined: no beacon. */
  beaconCycles: bigint | undefined;

  /** Moves `mark` to `netSeqNum` unless it is already beyond; its position in the file always follows. */
  advance(mark: 'received' | 'indexed' | 'stored' | 'synced', netSeqNum: bigint, bytes: number): void {
    const old = this[mark].netSeqNum;
    const number = old === undefined || isAfter(netSeqNum, old) ? netSeqNum : old;
    this[mark] = { netSeqNum: number, bytes };
  }
}
