import { MillraceError, relayRet, why } from '../../errors.ts';
import type { SessionOpen } from '../../stage/frames.ts';
import { tell } from '../../telemetry.ts';
import type { RequestOf } from '../../wire/relay/index.ts';
import { RelaySession } from '../session.ts';
import type { CommandContext, Handler } from './handler.ts';

/**
 * Makes this connection a session. Every refusal closes the connection: a real sessiond that is left waiting
 * hangs, and its whole command line with it. Source: relay-protocol, "What hangs a producer".
 */
export const createSession: Handler<'createSession', CommandContext> = {
  handle(context, request) {
    const { relay } = context;
    if (context.session !== undefined) throw refused('this connection has one already');
    relay.lastSession += 1;
    const open = sessionOf(relay.lastSession, context.minor, request);
    if (context.route !== undefined) relay.forwarder?.route(open.session, context.route);
    const { resumable } = context;
    // What the last connection of a forwarder that died had still sent comes too late.
    if (resumable !== undefined && relay.takers.get(resumable.token) !== context)
      throw refused('another connection has taken the session up');
    if (resumable !== undefined) relay.store.resumable(open.session, resumable);
    try {
      relay.store.accept(open);
    } catch (error) {
      throw refused(why(error), error);
    }
    const chunk = request.currentChunkId;
    if (chunk !== undefined && !relay.store.joinChunk(open.session, chunk)) {
      relay.store.accept({ kind: 'sessionEnd', session: open.session, outcome: 'abort' });
      throw refused(`trace chunk ${chunk} is unknown`);
    }
    const path = relay.store.session(open.session)?.shownPath ?? '';
    const inFlightMs = relay.limits.inFlightSeconds * 1000;
    const session = new RelaySession(open, context, relay.store, inFlightMs, (ended) =>
      relay.sessionEnded(ended),
    );
    context.session = session;
    relay.sessions.set(session.id, session);
    relay.totals.sessions += 1;
    const { hostname, sessionName, liveTimerUs, snapshot, minor } = open;
    tell(
      'info',
      'relay:session-open',
      `session ${session.id} ${hostname}/${sessionName} opened by ${context.peer}`,
      {
        session: session.id,
        peer: context.peer,
        minor,
        path,
        liveTimerUs,
        snapshot,
      },
    );
    return { sessionId: BigInt(session.id), ret: relayRet.ok, outputPath: path };
  },
  refuse: () => ({ sessionId: 0n, ret: relayRet.fatal, outputPath: undefined }),
};

/** The session's facts, whatever the layout they came in. Producers before 2.4 name nothing. */
function sessionOf(session: number, minor: number, request: RequestOf<'createSession'>): SessionOpen {
  if (minor >= 4 && (request.sessionName ?? '') === '') throw refused('the session has no name');
  if (minor >= 4 && (request.hostname ?? '') === '') throw refused('the host has no name');
  const uuid = request.sessiondUuid?.toString('hex') ?? '';
  if (/^0+$/.test(uuid)) throw refused('the sessiond UUID is nil');
  const format = request.traceFormat ?? 1;
  if (format !== 1 && format !== 2) throw refused(`trace format ${format} is unknown`);
  return {
    kind: 'sessionOpen',
    session,
    hostname: request.hostname ?? '',
    sessionName: request.sessionName ?? '',
    sessiondUuid: uuid,
    idSessiond: request.idSessiond,
    creationTimeS: request.creationTimeS,
    nameHasCreationTime: request.nameHasCreationTime ?? false,
    basePath: request.basePath ?? '',
    liveTimerUs: request.liveTimerUs ?? 0,
    snapshot: request.snapshot ?? false,
    minor,
    traceFormat: format === 2 ? 'ctf-2' : 'ctf-1.8',
  };
}

function refused(reason: string, cause?: unknown): MillraceError {
  return new MillraceError('MR_ERR_RELAY_SESSION', { why: reason }, { cause });
}
