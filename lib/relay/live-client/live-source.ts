/**
 * A session of a relay's live port as frames: from millrace, or from any lttng-relayd since 2.4. Waits for a session
 * that is not there yet, finds streams and consumer daemons that come later, reads to the end that the relay tells, and
 * connects again when the connection is lost: a millrace relay is asked to go on where it was, of any other the packets
 * that have come already are passed over.
 */
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { addressText } from '../../network/address.ts';
import type { FrameBatch } from '../../stage/batch.ts';
import { generatedSource } from '../../stage/generated-source.ts';
import { SlabPool } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import { createStatus } from '../../wire/live/index.ts';
import { LiveSession } from './live-session.ts';
import { idleMs } from './live-trace.ts';
import { defaultReconnectMs, type LiveSourceOptions } from './options.ts';
import { ViewerChannel } from './viewer-channel.ts';

/** Pauses before the next attempt to connect, milliseconds: doubled each time. */
const shortestMs = 100;
const longestMs = 5000;
/** How often it is looked whether a session is there that was not. */
const listMs = 500;

/**
 * A Readable of FrameBatch in the order of the grammar, one session. Numbers (`netSeqNum`) begin with 0 in each stream;
 * packets that a millrace relay knows to be gone become `lost`, those that a plain relay had overwritten only show in
 * `packetSeqNum`. Chunks are not told by the protocol: everything is in one.
 *
 * Errors: MR_ERR_NETWORK_DIAL (the relay is not there at the beginning, or not again in time), MR_ERR_LIVE_SESSION (it
 * has another viewer, is not live, or, with `missing` `fail`, is not there), MR_ERR_LIVE_VERSION, MR_ERR_LIVE_REPLY,
 * MR_ERR_WIRE_*, the signal's reason.
 */
export function liveSource(options: LiveSourceOptions): Readable {
  return generatedSource(`live ${addressText(options.address)}`, (gone) => {
    const signal = options.signal === undefined ? gone : AbortSignal.any([gone, options.signal]);
    return framesOf({ ...options, signal }, signal);
  });
}

async function* framesOf(options: LiveSourceOptions, signal: AbortSignal): AsyncGenerator<FrameBatch, void> {
  const pool = options.pool ?? new SlabPool({ slabs: limits.slabsPerSession });
  const session = new LiveSession(options, { pool, quota: pool.quota(), signal });
  const patience = new Patience(options.reconnectMs ?? defaultReconnectMs);
  let hasMet = false;
  for (;;) {
    let channel: ViewerChannel | undefined;
    try {
      channel = await ViewerChannel.open(options);
      await createViewerSession(channel);
      hasMet = true;
      const wasKnown = session.isKnown;
      if (!(await attached(session, channel, options, signal, patience))) {
        // It ended while nobody listened.
        if (wasKnown) yield* session.finish(true);
        return;
      }
      patience.restore();
      yield* readToEnd(session, signal);
      yield* session.finish(false);
      return;
    } catch (error) {
      if (!hasMet || !isPassing(error)) throw error;
      const pauseMs = patience.pauseMs();
      if (pauseMs === undefined) throw error;
      tell('warn', 'live:reconnect', `${error.message}; connecting again in ${pauseMs} ms`, error.facts);
      await delay(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    } finally {
      channel?.close(signal.aborted ? session.attached : []);
    }
  }
}

async function createViewerSession(channel: ViewerChannel): Promise<void> {
  const { status } = await channel.ask('createSession', {});
  if (status === createStatus.ok) return;
  throw new MillraceError('MR_ERR_LIVE_REPLY', {
    peer: channel.peer,
    command: 'createSession',
    why: `status ${status}`,
  });
}

/** Attaches the session as soon as it is there; false: it is not, and is not waited for. */
async function attached(
  session: LiveSession,
  channel: ViewerChannel,
  { missing = 'wait', hostname, sessionName }: LiveSourceOptions,
  signal: AbortSignal,
  patience: Patience,
): Promise<boolean> {
  const wasKnown = session.isKnown;
  for (;;) {
    if (await session.attach(channel)) return true;
    if (wasKnown || missing === 'end') return false;
    if (missing === 'fail')
      throw new MillraceError('MR_ERR_LIVE_SESSION', {
        peer: channel.peer,
        session: `${hostname}/${sessionName}`,
        why: 'there is none of this name',
      });
    patience.restore();
    await delay(listMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function* readToEnd(session: LiveSession, signal: AbortSignal): AsyncGenerator<FrameBatch, void> {
  for (;;) {
    const state = yield* session.round();
    if (state === 'over') return;
    if (state === 'idle') await delay(idleMs / 4, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

function isPassing(error: unknown): error is MillraceError {
  return (
    error instanceof MillraceError &&
    (error.code === 'MR_ERR_NETWORK_LOST' || error.code === 'MR_ERR_NETWORK_DIAL')
  );
}

/** How long it is tried to connect again, and how often. */
class Patience {
  readonly #wholeMs: number;
  #sinceMs: number | undefined;
  #pauseMs = shortestMs;

  constructor(wholeMs: number) {
    this.#wholeMs = wholeMs;
  }

  /** Until the next attempt; undefined: it has been tried for long enough. */
  pauseMs(): number | undefined {
    this.#sinceMs ??= performance.now();
    if (performance.now() - this.#sinceMs >= this.#wholeMs) return undefined;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, longestMs);
    return pauseMs;
  }

  restore(): void {
    this.#sinceMs = undefined;
    this.#pauseMs = shortestMs;
  }
}
