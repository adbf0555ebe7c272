/** What a command's file exports: how it is carried out, and what a refusal looks like. */
import type { Resumable } from '../../disk/stored-session.ts';
import type { MillraceError } from '../../errors.ts';
import type { CommandName, ReplyOf, RequestOf } from '../../wire/relay/index.ts';
import type { RelaySession } from '../session.ts';
import type { RelayState } from '../state.ts';

/** The connection a request came from, as far as commands need to know it. */
export interface CommandContext {
  readonly relay: RelayState;
  readonly peer: string;
  readonly address: string;
  destroy(): void;
  /** Minor that both sides use: the smaller of the producer's and ours; 0 before VERSION. */
  minor: number;
  /** Where its session goes on to; undefined: nowhere but where all do. */
  route: string | undefined;
  /** Its session may be taken up again, or is; undefined: it is as any other. */
  resumable: Resumable | undefined;
  /** The connection's session, undefined before CREATE_SESSION. */
  session: RelaySession | undefined;
}

/** A command that has a session: the table says so, dispatch has checked it. */
export type SessionContext = CommandContext & { session: RelaySession };

/** `Context`: SessionContext where the command table says that a session is needed. */
export interface Handler<N extends CommandName, Context = SessionContext> {
  /**
   * Changes the session's state, emits frames, returns the reply's values; all in one tick. Throws a
   * MillraceError: its scope decides whether the connection lives on, its return code goes into the reply.
   */
  handle(context: Context, request: RequestOf<N>): ReplyOf<N>;
  /** The values of a refusing reply; undefined: the error's return code alone, or no reply where it has none. */
  refuse?(error: MillraceError): ReplyOf<N> | undefined;
}
