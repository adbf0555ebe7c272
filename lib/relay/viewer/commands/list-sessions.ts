import { viewerTraceFormats } from '../../../wire/live/index.ts';
import type { RelaySession } from '../../session.ts';
import { cutText } from '../cut-text.ts';
import type { ViewerHandler } from './handler.ts';

/** What the fields of a list before 2.15 hold, less their NUL. */
const hostnameBytes = 63;
const sessionNameBytes = 254;
/** Viewers below this minor cannot read CTF 2. */
const ctf2Since = 15;

/** Every session whose producer is connected, live or not. Names that do not fit the old list are cut, not refused. */
export const listSessions: ViewerHandler<'listSessions'> = {
  handle({ relay, minor }) {
    const isNew = minor >= ctf2Since;
    const sessions: ReturnType<typeof entry>[] = [];
    for (const session of relay.sessions.values()) {
      if (!session.connected || (!isNew && session.open.traceFormat === 'ctf-2')) continue;
      if (sessions.length >= relay.limits.listedSessions) break;
      sessions.push(entry(session, isNew));
    }
    return { reply: { sessions } };
  },
};

function entry({ id, open, live, streams }: RelaySession, isNew: boolean) {
  const { liveTimerUs, hostname, sessionName } = open;
  return {
    sessionId: BigInt(id),
    liveTimerUs,
    clients: live?.viewers ?? 0,
    streams: streams.size,
    traceFormat: open.traceFormat === 'ctf-2' ? viewerTraceFormats.ctf2 : viewerTraceFormats.ctf1_8,
    hostname: isNew ? hostname : cutText(hostname, hostnameBytes),
    sessionName: isNew ? sessionName : cutText(sessionName, sessionNameBytes),
  };
}
