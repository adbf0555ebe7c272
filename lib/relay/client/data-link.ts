/** What a session needs of the way that its packets take, be it a connection or datagrams. */
import type { MillraceError } from '../../errors.ts';
import type { Slab } from '../../stage/slab.ts';
import type { ControlChannel } from './control-channel.ts';

/** The sending end of that way. */
export interface DataLink {
  /** Resolves when it is gone and no slab is held any more. */
  readonly closed: Promise<void>;
  /** The relay knows the session; nothing is sent before. Rejects as `ControlChannel.ask`. */
  opened(control: ControlChannel): Promise<void>;
  /** A packet begins: its header. */
  header(streamId: bigint, netSeqNum: bigint, dataSizeBytes: number, paddingSizeBytes: number): void;
  /** Bytes of it. The slab is retained until they have left. */
  bytes(slab: Slab, start: number, end: number): void;
  /** Bytes that lie in no slab; never written to again. */
  filler(bytes: Buffer): void;
  /** Sends what was collected, as far as it may go. */
  flush(): void;
  /** Resolves when at most `mostBytes` wait to be sent; 0: and the relay knows of all. Rejects with what ended it. */
  room(mostBytes?: number): Promise<void>;
  /** Ends it with an error. */
  fail(error: MillraceError): void;
  /** Ends it in order. */
  end(): Promise<void>;
}
