/**
 * The end of a session at the relay: everything acknowledged, nothing pending, every closed chunk complete, then both
 * connections closed, control first. Source: relay-protocol, "Data pending" and "End of stream".
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, relayRet } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { none } from '../../wire/relay/index.ts';
import type { ClientSession } from './client-session.ts';
import type { ClientStream } from './client-stream.ts';
import type { RelaySinkOptions } from './options.ts';

const intervalMs = 20;

/** Ends a session. Rejects with MR_ERR_CLIENT_PENDING, and the errors of the channels. */
export async function endSession(session: ClientSession, options: RelaySinkOptions): Promise<void> {
  const { control, data } = session.link;
  data.flush();
  control.flush();
  await data.room(0);
  await control.fewer(0);
  await whenNot(session, options, () => isPending(session));
  const open = [...session.streams.values()].filter(({ isGone }) => !isGone);
  for (const { handle, lastSent } of open)
    await control.ask('closeStream', { streamId: handle, lastNetSeqNum: lastSent ?? none });
  // What was cut short stays pending at a relay until the connections end, and so do its chunks.
  if (!open.some(({ cutShort }) => cutShort)) {
    if (open.length > 0) await whenNot(session, options, () => isPending(session, true));
    for (const chunkId of session.closedChunks)
      await whenNot(
        session,
        options,
        async () => (await control.ask('traceChunkExists', { chunkId })).exists,
      );
  }
  await control.end();
  await data.end();
}

/**
 * One round of questions: about every stream that is open, unless they were closed in the meantime, and whether that
 * was all.
 */
async function isPending(session: ClientSession, closed = false): Promise<boolean> {
  const { control } = session.link;
  await control.ask('beginDataPending', { sessionId: session.id });
  for (const stream of closed ? [] : session.streams.values()) {
    const { handle, isMetadata, isGone } = stream;
    if (isGone) continue;
    if (isMetadata) {
      await control.ask('quiescentControl', { streamId: handle });
      continue;
    }
    const { ret } = await control.ask(
      'dataPending',
      { streamId: handle, lastNetSeqNum: lastAsked(stream) ?? none },
      { anyRet: true },
    );
    if (answer(session, 'dataPending', ret)) return true;
  }
  const { ret } = await control.ask('endDataPending', { sessionId: session.id }, { anyRet: true });
  return answer(session, 'endDataPending', ret);
}

/**
 * Resolves when the relay has stored every packet that was sent until now. Streams may be closed meanwhile only after
 * that: a relay does not answer for one that it has forgotten.
 */
export async function whenStored(session: ClientSession, options: RelaySinkOptions): Promise<void> {
  const { control, data } = session.link;
  data.flush();
  const sent = [...session.streams.values()].flatMap((stream) => {
    const last = stream.isMetadata || stream.isGone ? undefined : stream.lastWhole;
    return last === undefined ? [] : [{ handle: stream.handle, last }];
  });
  await control.fewer(0);
  for (const { handle, last } of sent)
    await whenNot(session, options, async () => {
      const question = { streamId: handle, lastNetSeqNum: last };
      const { ret } = await control.ask('dataPending', question, { anyRet: true });
      return answer(session, 'dataPending', ret);
    });
}

/** A packet that was cut short, or has no index, stays pending until the connection ends. */
function lastAsked({ cutShort, lastWhole, lastSent }: ClientStream): bigint | undefined {
  return cutShort ? lastWhole : lastSent;
}

/** The answers of these commands are 0 and 1, not return codes. */
function answer(session: ClientSession, command: string, ret: number): boolean {
  if (ret === 0 || ret === 1) return ret === 1;
  const code = ret === relayRet.ok ? `${ret} (which is no answer)` : ret;
  throw new MillraceError('MR_ERR_CLIENT_REFUSED', { peer: session.peer, command, ret: code });
}

/** Asks again and again until the answer is no. */
async function whenNot(
  session: ClientSession,
  { pendingTimeoutMs, pendingIntervalMs, signal }: RelaySinkOptions,
  ask: () => Promise<boolean>,
): Promise<void> {
  const patienceMs = pendingTimeoutMs ?? limits.pendingSeconds * 1000;
  const deadlineMs = Date.now() + patienceMs;
  while (await ask()) {
    if (Date.now() > deadlineMs) {
      const seconds = patienceMs / 1000;
      throw new MillraceError('MR_ERR_CLIENT_PENDING', { peer: session.peer, seconds });
    }
    await delay(pendingIntervalMs ?? intervalMs, undefined, signal && { signal });
  }
}
