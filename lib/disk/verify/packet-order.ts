/**
 * What the packets of one file say together: times and numbers go up, and what is missing is counted. Source: ctf,
 * "Lost events and packets".
 */
import type { PacketHeader, PacketReader } from '../../ctf/packet-header.ts';
import type { ScannedPacket } from '../../ctf/packet-scan.ts';
import { uuidText } from '../../ctf/trace-class.ts';
import type { FaultCode } from './report.ts';

/** Packets of one data stream in a row, in one file. */
export interface PacketRun {
  first: PacketHeader;
  last: PacketHeader;
  packets: number;
  eventsDiscarded: bigint;
  packetsLost: bigint;
}

/** Events discarded and packets lost between two packets of a stream. */
export function lostBetween(
  before: PacketHeader,
  after: PacketHeader,
  reader: PacketReader,
): { eventsDiscarded: bigint; packetsLost: bigint } {
  const difference = (field: 'eventsDiscarded' | 'packetSeqNum'): bigint => {
    const [from, to] = [before[field], after[field]];
    if (from === undefined || to === undefined) return 0n;
    return BigInt.asUintN(reader.sizeOfRole(after.streamClassId, field) ?? 64, to - from);
  };
  const packets = difference('packetSeqNum');
  return { eventsDiscarded: difference('eventsDiscarded'), packetsLost: packets > 1n ? packets - 1n : 0n };
}

/** When a packet ends; a crashed tracer leaves 0, and some layouts say only when it begins. */
export function endOf({
  timestampBeginCycles: begin,
  timestampEndCycles: end,
}: PacketHeader): bigint | undefined {
  return end === undefined || (end === 0n && begin !== undefined) ? begin : end;
}

/** See the file's head. */
export class PacketOrder {
  readonly #reader: PacketReader;
  readonly #tell: (code: FaultCode, text: string, offsetBytes: number) => void;
  run: PacketRun | undefined;

  constructor(reader: PacketReader, tell: (code: FaultCode, text: string, offsetBytes: number) => void) {
    this.#reader = reader;
    this.#tell = tell;
  }

  packet({ offsetBytes, header }: ScannedPacket): void {
    this.#alone(header, offsetBytes);
    const { run } = this;
    if (run === undefined) {
      this.run = { first: header, last: header, packets: 1, eventsDiscarded: 0n, packetsLost: 0n };
      return;
    }
    if (this.#follows(run.last, header, offsetBytes)) {
      const lost = lostBetween(run.last, header, this.#reader);
      run.eventsDiscarded += lost.eventsDiscarded;
      run.packetsLost += lost.packetsLost;
    }
    run.last = header;
    run.packets += 1;
  }

  #alone(header: PacketHeader, offsetBytes: number): void {
    const { uuid } = this.#reader.trace;
    const { contentSizeBits: content, packetSizeBits: size } = header;
    const { timestampBeginCycles: begin } = header;
    const end = endOf(header);
    if (uuid !== undefined && header.uuid !== undefined && !uuid.equals(header.uuid))
      this.#tell('trace-uuid', `a packet of trace ${uuidText(header.uuid)}`, offsetBytes);
    if (content !== undefined && size !== undefined && content > size)
      this.#tell('content-size', `${content} bits of content in a packet of ${size}`, offsetBytes);
    if (begin !== undefined && end !== undefined && end < begin)
      this.#tell('timestamp-order', `a packet that ends at ${end} and begins at ${begin}`, offsetBytes);
  }

  /** Whether a packet can stand behind the one before. */
  #follows(last: PacketHeader, header: PacketHeader, offsetBytes: number): boolean {
    if (last.streamClassId !== header.streamClassId || last.streamInstanceId !== header.streamInstanceId) {
      this.#tell(
        'stream-class',
        `a packet of stream ${name(header)} in a file of stream ${name(last)}`,
        offsetBytes,
      );
      return false;
    }
    const [from, to] = [last.packetSeqNum, header.packetSeqNum];
    const [before, begin] = [endOf(last), header.timestampBeginCycles];
    // Some tracers number all packets alike, so the same number alone says nothing.
    if (from !== undefined && from === to && begin !== undefined && begin === last.timestampBeginCycles) {
      this.#tell('sequence-order', `packet ${to} a second time`, offsetBytes);
      return false;
    }
    if (before !== undefined && begin !== undefined && begin < before)
      this.#tell(
        'timestamp-order',
        `a packet that begins at ${begin}, the one before ends at ${before}`,
        offsetBytes,
      );
    const isWide = this.#reader.sizeOfRole(header.streamClassId, 'packetSeqNum') === 64;
    if (from === undefined || to === undefined || to >= from || !isWide) return true;
    this.#tell('sequence-order', `packet ${to} behind packet ${from}`, offsetBytes);
    return false;
  }
}

function name({ streamClassId, streamInstanceId }: PacketHeader): string {
  return streamInstanceId === undefined ? `${streamClassId}` : `${streamClassId}/${streamInstanceId}`;
}
