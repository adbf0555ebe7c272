/** The private commands of a relay that forwards here: what is stored, what is lost, and the way on. */
import { checkPath } from '../../disk/names.ts';
import { shownPath } from '../../disk/passing.ts';
import { MillraceError, relayRet } from '../../errors.ts';
import type { Index } from '../../stage/frames.ts';
import { resumeStates } from '../../wire/relay/index.ts';
import type { CommandContext, Handler } from './handler.ts';
import { ownDataStream } from './streams.ts';

const nothing = { packetSizeBits: 0n, timestampBeginCycles: 0n, timestampEndCycles: 0n, packetSeqNum: 0n };

/**
 * The session that this connection will create may be taken up again, or is. Whoever asks has lost the connection that it
 * had: that is ended here first, so that what is then said of it holds. A relay that passes sessions on cannot go on with
 * one (lib/relay/README.md, "Why not through relays that pass on").
 */
export const resumeSession: Handler<'resumeSession', CommandContext> = {
  handle(context, { token, afresh }) {
    const { relay } = context;
    const resumable = { token: token.toString('hex'), afresh };
    const living = [...relay.sessions.values()].filter(({ token }) => token === resumable.token);
    for (const session of living) session.cut();
    const { never, new: unknown, known } = resumeStates;
    const sessionPath = relay.store.book.pathOf(resumable.token);
    const isClosing = sessionPath !== undefined && relay.store.isClosingBelow(sessionPath);
    if (living.length > 0 || isClosing)
      return { ret: relayRet.ok, busy: true, state: never, sessionPath: undefined };
    // What a process before this one had stored and not yet passed on is not known: nothing is said of it.
    const isForgotten = relay.taps.length > 0 && !relay.store.book.hasBegun(resumable.token);
    context.resumable = resumable;
    relay.takers.set(resumable.token, context);
    const isKnown = !afresh && sessionPath !== undefined;
    const state = relay.taps.length > 0 ? never : isKnown ? known : unknown;
    const shown = isForgotten ? undefined : sessionPath && shownPath(sessionPath);
    return { ret: relayRet.ok, busy: false, state, sessionPath: shown };
  },
  refuse: ({ ret }) => ({
    ret: ret ?? relayRet.unknown,
    busy: false,
    state: resumeStates.never,
    sessionPath: undefined,
  }),
};

/**
 * The last packet of a stream that is stored, or has passed. A session that is taken up again may have lain in other
 * directories before, if it was passed on from here: then it had to go on under another name.
 */
export const lastStored: Handler<'lastStored', CommandContext> = {
  handle({ relay, resumable }, { sessionPath = '', streamPath, channelName }) {
    const { store } = relay;
    const given = checkPath('session path', sessionPath);
    const known =
      resumable && store.book.pathsOf(resumable.token).map((path) => path.split('/').filter(Boolean));
    const stream = checkPath('stream path', streamPath, 1);
    let record: ReturnType<typeof store.lastStored>;
    for (const path of known ?? [given]) record ??= store.lastStored(path, stream, channelName);
    if (record === undefined) return { ret: relayRet.ok, found: false, ...nothing };
    const { packetSizeBits, timestampBeginCycles, timestampEndCycles, packetSeqNum = 0n } = record;
    const facts = { packetSizeBits, timestampBeginCycles, timestampEndCycles, packetSeqNum };
    return { ret: relayRet.ok, found: true, ...facts };
  },
  refuse: ({ ret }) => ({ ret: ret ?? relayRet.unknown, found: false, ...nothing }),
};

/** A packet will never come: its record says so, with offset -1. */
export const packetLost: Handler<'packetLost'> = {
  handle({ relay, session }, { streamId, cause, ...record }) {
    const { handle, trace } = ownDataStream(relay, session, 'packetLost', streamId);
    const { netSeqNum } = record;
    const metadataPositionBytes = trace.metadata?.ledger.metadataBytes ?? 0;
    const index: Index = { kind: 'index', stream: handle, ...record, metadataPositionBytes };
    relay.store.accept({ kind: 'lost', stream: handle, netSeqNum, cause, index });
    return { ret: relayRet.ok };
  },
};

/** The session that this connection will create goes on to another relay. */
export const forwardTo: Handler<'forwardTo', CommandContext> = {
  handle(context, { uri }) {
    if (context.relay.options.allowHops !== true)
      throw new MillraceError('MR_ERR_RELAY_HOPS', { command: 'forwardTo' });
    context.relay.forwarder?.checkRoute(uri);
    context.route = uri;
    return { ret: relayRet.ok };
  },
};
