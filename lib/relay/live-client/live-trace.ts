/** What a live client keeps of a trace and of a stream, over all its connections. */
import { readMetadataClass } from '../../ctf/metadata/index.ts';
import { PacketReader } from '../../ctf/packet-header.ts';
import type { TraceClass } from '../../ctf/trace-class.ts';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Lost } from '../../stage/frames.ts';
import type { SessionStream } from '../../stage/session-frames.ts';
import { tell } from '../../telemetry.ts';
import { metadataStatus } from '../../wire/live/index.ts';
import type { ViewerChannel } from './viewer-channel.ts';

/** How long to wait before a stream that had nothing is asked again, milliseconds: as babeltrace waits. */
export const idleMs = 100;

/** One CTF trace: the streams of one path. */
export class LiveTrace {
  readonly path: string;
  /** The relay's id of its metadata stream; undefined: it was not shown yet, or is no more. */
  metadataId: bigint | undefined;
  /** Its metadata is to be asked for, not before `askAtMs`. */
  needsMetadata = true;
  askAtMs = 0;
  /** All of it that has come. */
  text: Buffer = Buffer.alloc(0);
  /** What has been handed on. */
  sentBytes = 0;
  /** What comes again, on a new connection. */
  repeatedBytes = 0;
  #class: { trace: TraceClass | undefined; bytes: number } | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Metadata that is new. Errors: MR_ERR_LIVE_REPLY for more than `limits.metadataBytes`, those of the channel. */
  async more(channel: ViewerChannel): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let bytes = 0;
    while (this.metadataId !== undefined) {
      const reply = await channel.ask('getMetadata', { streamId: this.metadataId });
      if (reply.status === metadataStatus.error) this.metadataId = undefined;
      if (reply.status !== metadataStatus.ok || reply.lengthBytes === 0n) break;
      if (reply.lengthBytes > BigInt(limits.metadataBytes - this.text.length - bytes))
        throw new MillraceError('MR_ERR_LIVE_REPLY', {
          peer: channel.peer,
          command: 'getMetadata',
          why: `more than ${limits.metadataBytes} bytes of metadata`,
        });
      const piece = Buffer.allocUnsafe(Number(reply.lengthBytes));
      await channel.bytes(piece);
      const repeated = Math.min(this.repeatedBytes, piece.length);
      this.repeatedBytes -= repeated;
      pieces.push(piece.subarray(repeated));
      bytes += piece.length - repeated;
    }
    const more = Buffer.concat(pieces);
    if (more.length > 0) this.text = Buffer.concat([this.text, more]);
    // Until there is some, nothing tells that it has come.
    this.needsMetadata = this.text.length === 0;
    this.askAtMs = performance.now() + idleMs;
    return more;
  }

  /** undefined: it cannot be understood. */
  get traceClass(): TraceClass | undefined {
    if (this.#class?.bytes === this.text.length) return this.#class.trace;
    let trace: TraceClass | undefined;
    try {
      trace = readMetadataClass(this.text);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
    }
    this.#class = { trace, bytes: this.text.length };
    return trace;
  }

  /** What a packet says of itself beyond what an index reply says. `bytes`: its beginning. */
  packetFacts(bytes: Buffer): { streamInstanceId: bigint | undefined; packetSeqNum: bigint | undefined } {
    const trace = this.traceClass;
    try {
      if (trace !== undefined) return new PacketReader(trace).packetAt(bytes);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
    }
    return { streamInstanceId: undefined, packetSeqNum: undefined };
  }
}

/**
 * `packets` of a stream that will never come, as frames; the next packet has its number behind them. It is told how many
 * there are, if they are more than there are frames for.
 */
export function lostPackets({ stream }: LiveStream, packets: bigint, cause: string): Lost[] {
  if (packets <= 0n) return [];
  const name = stream.key.replace('\0', '/');
  tell('warn', 'live:lost', `${name}: ${packets} packets ${cause}`, { stream: name, packets });
  const count = Math.min(Number(packets), limits.halfPacketsPerStream);
  return Array.from({ length: count }, () => {
    const netSeqNum = stream.next;
    stream.next += 1n;
    return { kind: 'lost', stream: stream.handle, netSeqNum, cause, index: undefined };
  });
}

/** One data stream. */
export interface LiveStream {
  readonly trace: LiveTrace;
  readonly stream: SessionStream;
  /** The relay's ids, on the connection in hand. */
  id: bigint;
  sessionId: bigint;
  /** The relay has it on the connection in hand. */
  isShown: boolean;
  /** Not to be asked before. */
  askAtMs: number;
  /** Packets of the stream before the next one, as the relay counts; undefined: it does not. */
  position: bigint | undefined;
  /** Beginning of the last packet; those that begin before or at it have come already, on an earlier connection. */
  lastBeginCycles: bigint | undefined;
  isRepeating: boolean;
  /** It was to be read from a moment on that is over: packets are passed over until there are no more for now. */
  isPassing: boolean;
  beaconCycles: bigint | undefined;
  /** A packet of which only the first bytes have been handed on when the connection was lost. */
  part: { beginCycles: bigint; bytes: number } | undefined;
}
