/**
 * What a server may have beyond the protocol: its owner's view of each connection, and commands that are agreed on in
 * private. A server without one knows nothing of it.
 */
import type { CommandContext, Counters } from './context.ts';
import type { Request } from './request-reader.ts';
import type { Ending } from './transmission.ts';

/** One connection, as its owner sees it. */
export interface ExtendedSession {
  /** A request came, whole but for its data. True: it is dealt with, and the protocol's own handling does not see it. */
  begin(context: CommandContext, request: Request): boolean;
  /** Nothing of it is at work any more, and its last reply has left. */
  ended(ending: Ending, counters: Readonly<Counters>): void;
}

/** See the file's head. In oldstyle only. */
export interface Extension {
  /** Transmission flags that the hello has more, and its reserved bytes. */
  hello(): { flags: number; reserved: Buffer };
  /** A connection begins its transmission. `cut` ends it now. */
  open(peer: string, cut: () => void): ExtendedSession;
}
