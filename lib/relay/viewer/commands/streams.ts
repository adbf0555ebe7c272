/** The commands that give a viewer streams, and take them. */
import { tell } from '../../../telemetry.ts';
import { attachStatus, detachStatus, newStreamsStatus, seeks } from '../../../wire/live/index.ts';
import { cutText } from '../cut-text.ts';
import type { LiveSession, LiveStream } from '../live-session.ts';
import { type Keep, ViewedSession } from '../viewed-session.ts';
import { listedSession, type ViewerContext, type ViewerHandler, viewedSession } from './handler.ts';

/** What the field holds, less its NUL; producers may send longer names. */
const channelNameBytes = 254;

function entries(streams: readonly LiveStream[]) {
  return streams.map(({ handle, name, trace, kind }) => ({
    streamId: BigInt(handle),
    ctfTraceId: BigInt(trace.id),
    metadataFlag: kind === 'metadata' ? 1 : 0,
    pathName: trace.path,
    channelName: cutText(name, channelNameBytes),
  }));
}

const from: Readonly<Record<number, 'beginning' | 'last'>> = {
  [seeks.beginning]: 'beginning',
  [seeks.last]: 'last',
};

/** Everything is checked before anything is attached. Source: live-protocol, "ATTACH_SESSION". */
function attach(context: ViewerContext, sessionId: bigint, seek: number, keep?: Keep) {
  const { attached, relay, viewers, minor, peer } = context;
  const refused = (status: number) => ({ status, streams: [] });
  if (attached === undefined) return refused(attachStatus.noViewerSession);
  const session = listedSession(context, sessionId);
  if (session === undefined || (session.traceFormat === 'ctf-2' && minor < 15))
    return refused(attachStatus.unknown);
  const { live } = session;
  if (live === undefined) return refused(attachStatus.notLive);
  const start = from[seek];
  if (start === undefined) return refused(attachStatus.seekError);
  if (attached.has(live.id)) return refused(attachStatus.already);
  if (!viewers.hasRoomFor(live.streams.size, peer)) return refused(attachStatus.unknown);
  const viewed = new ViewedSession(context, live, start, keep);
  attached.set(live.id, viewed);
  tell('info', 'relay:viewer-attached', `${peer} attached to session ${live.id} (${start})`, {
    peer,
    session: live.id,
  });
  return { status: attachStatus.ok, streams: entries(viewed.announce(relay.limits.streamsPerReply)) };
}

export const attachSession: ViewerHandler<'attachSession'> = {
  handle: (context, { sessionId, seek }) => ({ reply: attach(context, sessionId, seek) }),
};

/** A millrace viewer attaches, or is back and goes on where it was, though the session may be over by now. */
export const attachKept: ViewerHandler<'attachKept'> = {
  handle(context, { sessionId, key, seek, keepSeconds }) {
    const { attached, viewers, peer, relay } = context;
    const session = Number(sessionId);
    const back = attached === undefined ? undefined : viewers.takeBack(key, session, peer);
    if (attached === undefined || back === undefined) {
      const ms = Math.min(keepSeconds, relay.limits.viewerKeptSeconds) * 1000;
      const keep = ms > 0 ? { key, ms } : undefined;
      return { reply: { ...attach(context, sessionId, seek, keep), isKept: 0 } };
    }
    back.handTo(context);
    attached.set(session, back);
    tell('info', 'relay:viewer-back', `${peer} is back in session ${session}`, { peer, session });
    const streams = entries(back.announce(relay.limits.streamsPerReply));
    return { reply: { status: attachStatus.ok, isKept: 1, streams } };
  },
};

/** Streams that this viewer was not shown yet. The session is over when its producer is and nothing more may come. */
export const getNewStreams: ViewerHandler<'getNewStreams'> = {
  handle(context, { sessionId }) {
    const viewed = viewedSession(context, sessionId);
    if (viewed === undefined) return { reply: { status: newStreamsStatus.error, streams: [] } };
    const { topic, live } = viewed;
    const streams = entries(viewed.announce(context.relay.limits.streamsPerReply));
    const isOver = streams.length === 0 && hasEnded(live);
    const status = isOver ? newStreamsStatus.hangUp : newStreamsStatus.ok;
    return { reply: { status, streams }, topic, idle: streams.length === 0 && !isOver };
  },
};

function hasEnded({ ended, streams }: LiveSession): boolean {
  return ended && streams.size === 0;
}

export const detachSession: ViewerHandler<'detachSession'> = {
  handle(context, { sessionId }) {
    const viewed = viewedSession(context, sessionId);
    if (viewed === undefined) return { reply: { status: absent(context, sessionId) } };
    context.attached?.delete(viewed.live.id);
    context.viewers.detached(viewed, context.peer);
    return { reply: { status: detachStatus.ok } };
  },
};

function absent(context: ViewerContext, sessionId: bigint): number {
  const isKnown = context.attached === undefined || listedSession(context, sessionId) !== undefined;
  return isKnown ? detachStatus.error : detachStatus.unknown;
}
