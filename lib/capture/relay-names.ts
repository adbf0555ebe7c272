/**
 * What a relay hands out and a producer repeats: stream handles and session ids. A replay must say the numbers
 * that the live relay has given in place of those that the recorded one gave. Which fields of a request hold them
 * is read from the declared layouts.
 */
import { type CommandName, dataHeader, requestLayout, rotateStream } from '../wire/relay/index.ts';

/** The recorded numbers and what stands for them now. */
export class RelayNames {
  readonly streams = new Map<bigint, bigint>();
  readonly sessions = new Map<bigint, bigint>();

  /**
   * Rewrites the payload of a request in place. Numbers that the recorded relay never gave stay as they are, and
   * so does a payload that has no known layout.
   */
  rewriteRequest(command: CommandName, minor: number, payload: Buffer): void {
    const layout = requestLayout(command, minor, payload.length);
    if (layout === undefined || payload.length < layout.minSizeBytes) return;
    for (const [field] of layout.fields) {
      if (field === 'streamId') replace(payload, layout.offsetOf(field), this.streams);
      else if (field === 'sessionId') replace(payload, layout.offsetOf(field), this.sessions);
      else if (field === 'streams')
        for (let at = layout.minSizeBytes; at < payload.length; at += rotateStream.minSizeBytes)
          replace(payload, at + rotateStream.offsetOf('streamId'), this.streams);
    }
  }

  /** Rewrites the header of a data frame in place. */
  rewriteData(header: Buffer): void {
    replace(header, dataHeader.offsetOf('streamId'), this.streams);
  }
}

function replace(bytes: Buffer, at: number, names: ReadonlyMap<bigint, bigint>): void {
  const recorded = bytes.readBigUInt64BE(at);
  bytes.writeBigUInt64BE(names.get(recorded) ?? recorded, at);
}
