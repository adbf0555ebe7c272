/** The sessions of a relay, as a live client sees them. */
import type { ViewerReplyOf } from '../../wire/live/index.ts';
import type { LiveOptions } from './options.ts';
import { ViewerChannel } from './viewer-channel.ts';

/** A session, over all consumer daemons that take part in it. */
export interface ListedSession {
  hostname: string;
  sessionName: string;
  /** Microseconds; 0: not live. */
  liveTimerUs: number;
  /** Viewers that are attached: the most of any part of it, as babeltrace2 counts. */
  clients: number;
  /** Metadata streams included. */
  streams: number;
  traceFormat: 'ctf-1.8' | 'ctf-2';
}

type Entry = ViewerReplyOf<'listSessions'>['sessions'][number];

/** What one consumer daemon's part of a session is listed as. */
export interface SessionEntry extends ListedSession {
  sessionId: bigint;
}

/** An entry of either layout. */
export function sessionEntry(entry: Entry): SessionEntry {
  const { sessionId, hostname, sessionName, liveTimerUs, clients, streams } = entry;
  const isCtf2 = 'traceFormat' in entry && entry.traceFormat === 1;
  return {
    sessionId,
    hostname,
    sessionName,
    liveTimerUs,
    clients,
    streams,
    traceFormat: isCtf2 ? 'ctf-2' : 'ctf-1.8',
  };
}

/**
 * Asks a relay for its sessions, in the order of its answer. Errors: MR_ERR_NETWORK_DIAL, MR_ERR_NETWORK_LOST,
 * MR_ERR_LIVE_VERSION, MR_ERR_WIRE_*, the signal's reason.
 */
export async function listLiveSessions(options: LiveOptions): Promise<ListedSession[]> {
  const channel = await ViewerChannel.open(options);
  try {
    const { sessions } = await channel.ask('listSessions', {});
    const listed = new Map<string, ListedSession>();
    for (const { sessionId: _, ...part } of sessions.map(sessionEntry)) {
      const key = `${part.hostname}\0${part.sessionName}`;
      const known = listed.get(key);
      if (known === undefined) listed.set(key, part);
      else {
        known.streams += part.streams;
        known.clients = Math.max(known.clients, part.clients);
      }
    }
    return [...listed.values()];
  } finally {
    channel.close();
  }
}
