/** What the commands of one connection share. */
import type { Image } from '../../disk/image.ts';
import type { NbdErrorName } from '../../wire/nbd/index.ts';
import type { Outbox } from './outbox.ts';
import type { Pieces } from './pieces.ts';
import type { ReplyCodec } from './reply-codec.ts';
import type { Request } from './request-reader.ts';

/** Bytes and requests since the connection began. */
export interface Counters {
  requests: number;
  failed: number;
  bytesRead: number;
  bytesWritten: number;
}

export interface CommandContext {
  readonly image: Image;
  readonly sizeBytes: number;
  readonly contexts: readonly number[];
  readonly codec: ReplyCodec;
  readonly outbox: Outbox;
  readonly pieces: Pieces;
  readonly counters: Counters;
  /** Every change is durable before its reply. */
  durable: boolean;
  /**
   * Runs what takes longer than this turn; the request counts as unanswered meanwhile. `work` writes the reply; where
   * it rejects the error is written.
   */
  run(request: Request, work: () => Promise<void>): void;
  /** The same for one beside which nothing else may be answered; it is begun when nothing else is at work. */
  runAlone(request: Request, work: () => Promise<void>): void;
  /** Writes an error as the reply. */
  fail(request: Request, error: NbdErrorName, message: string): void;
  /** The same for what was thrown. */
  failWith(request: Request, error: unknown): void;
  /** The connection cannot go on: a reply was begun that cannot be finished. */
  abort(error: Error): void;
}
