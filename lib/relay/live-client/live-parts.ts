/**
 * The parts of a session, one for each consumer daemon that takes part in it, attached over one connection after
 * another. A millrace relay keeps a viewer's places in them for a while when a connection is lost, so that nothing that
 * came and went meanwhile is missed; of any other the session is attached anew, and what that leaves out is told.
 */
import { randomBytes } from 'node:crypto';
import { MillraceError } from '../../errors.ts';
import { tell } from '../../telemetry.ts';
import { attachStatus, newStreamsStatus, seeks } from '../../wire/live/index.ts';
import { type SessionEntry, sessionEntry } from './list-sessions.ts';
import type { LiveStreams } from './live-streams.ts';
import { defaultReconnectMs, type LiveSourceOptions } from './options.ts';
import type { ViewerChannel } from './viewer-channel.ts';

/** One consumer daemon's part. */
interface Part {
  readonly sessionId: bigint;
  readonly liveTimerUs: number;
  /** Its producer has gone, and nothing new will come of it. */
  isOver: boolean;
  /** Streams are not to be asked for before. */
  askAtMs: number;
}

/** How often it is asked for streams and parts that nobody announced, milliseconds. Source: live-protocol, "Checklists". */
const newsMs = 1000;
/** How much longer our places are to be kept than we try to connect: connecting may take a while. */
const keptLongerSeconds = 10;

/** See the file's head. Errors of all methods that ask: those of the channel. */
export class LiveParts {
  readonly #options: LiveSourceOptions;
  readonly #streams: LiveStreams;
  /** Under which the relay keeps our places. */
  readonly #key = randomBytes(8).readBigUInt64BE();
  #channel: ViewerChannel | undefined;
  /** The connection leads to the same process of a millrace relay as the one before. */
  #isSame = false;
  #parts = new Map<bigint, Part>();
  /** Those of the connection before, in which the relay may have kept our places. */
  #before: Part[] = [];
  /** A part was asked for, with whatever success. */
  #hasAsked = false;
  #isKnown = false;
  #listAtMs = 0;

  /** `streams`: where it is noted what streams the parts have. */
  constructor(options: LiveSourceOptions, streams: LiveStreams) {
    this.#options = options;
    this.#streams = streams;
  }

  /** Whether there has ever been one. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** Whether nothing new will come of any. */
  get isOver(): boolean {
    return [...this.#parts.values()].every(({ isOver }) => isOver);
  }

  /** What is attached. */
  get attached(): Iterable<bigint> {
    return this.#parts.keys();
  }

  /** Microseconds; 0: there is no part yet. */
  get liveTimerUs(): number {
    for (const { liveTimerUs } of this.#parts.values()) if (liveTimerUs > 0) return liveTimerUs;
    return 0;
  }

  /**
   * Attaches every part that is listed, on a new connection or an old one. Returns whether there is one. Errors, beside
   * those of the channel: MR_ERR_LIVE_SESSION where the relay refuses, MR_ERR_NETWORK_LOST where it does only for now.
   */
  async attach(channel: ViewerChannel): Promise<boolean> {
    const isNew = this.#channel !== channel;
    const hadAsked = this.#hasAsked;
    if (isNew) this.#reconnected(channel);
    let isWhole = true;
    // those of before may have ended, and our places in them be kept
    for (const part of [...(await this.#listed(channel)), ...this.#before]) {
      if (this.#parts.has(part.sessionId)) continue;
      const isKept = await this.#attachPart(channel, part, isNew && this.#isKnown);
      if (!isKept && this.#mayBeKept(part)) isWhole = false;
    }
    if (isNew && hadAsked && !isWhole) this.#tellGap();
    this.#before = [];
    if (isNew && this.#isKnown && this.#parts.size > 0) await this.#streams.settleEnded(channel);
    this.#isKnown ||= this.#parts.size > 0;
    return this.#parts.size > 0;
  }

  #reconnected(channel: ViewerChannel): void {
    const { relayProcess } = channel;
    this.#isSame = relayProcess !== undefined && relayProcess === this.#channel?.relayProcess;
    this.#channel = channel;
    this.#streams.reconnected(this.#isSame);
    this.#before = this.#isSame ? [...this.#before, ...this.#parts.values()] : [];
    this.#parts = new Map();
  }

  async #listed(channel: ViewerChannel): Promise<SessionEntry[]> {
    const { sessions } = await channel.ask('listSessions', {});
    this.#listAtMs = performance.now() + newsMs;
    const { hostname, sessionName } = this.#options;
    return sessions
      .map(sessionEntry)
      .filter((entry) => entry.hostname === hostname && entry.sessionName === sessionName);
  }

  /** Whether a part had been attached, or may have been: the reply may be what was lost. */
  #mayBeKept({ sessionId }: { sessionId: bigint }): boolean {
    return !this.#isSame || !this.#isKnown || this.#before.some((part) => part.sessionId === sessionId);
  }

  #tellGap(): void {
    const { hostname, sessionName, seek } = this.#options;
    const facts = { hostname, sessionName };
    const gap = 'what streams had that came and went meanwhile is not known';
    const fromNow = seek === 'last' ? ', and those of which nothing had come begin with what comes now' : '';
    const text = `the relay kept no place in ${hostname}/${sessionName} while the connection was lost: ${gap}${fromNow}`;
    tell('warn', 'live:gap', text, facts);
  }

  /** `again`: on a connection that follows another. Returns whether the relay had kept our places. */
  async #attachPart(
    channel: ViewerChannel,
    { sessionId, liveTimerUs }: Pick<Part, 'sessionId' | 'liveTimerUs'>,
    again: boolean,
  ): Promise<boolean> {
    // What comes later is read from its beginning.
    const from = this.#isKnown ? 'beginning' : (this.#options.seek ?? 'beginning');
    this.#hasAsked = true;
    const { status, streams, isKept } = await this.#ask(channel, sessionId, seeks[from]);
    const { hostname, sessionName } = this.#options;
    const refused = (why: string) =>
      new MillraceError('MR_ERR_LIVE_SESSION', {
        peer: channel.peer,
        session: `${hostname}/${sessionName}`,
        why,
      });
    if (status === attachStatus.already && again)
      throw new MillraceError('MR_ERR_NETWORK_LOST', {
        peer: channel.peer,
        why: 'the relay has not noticed yet that the last connection is gone',
      });
    if (status === attachStatus.already) throw refused('another viewer is attached, this relay serves one');
    if (status === attachStatus.notLive) throw refused('it is not a live session');
    // It has ended since it was listed.
    if (status === attachStatus.unknown) return false;
    if (status !== attachStatus.ok) throw refused(`the relay refuses to attach it, status ${status}`);
    this.#parts.set(sessionId, { sessionId, liveTimerUs, isOver: false, askAtMs: 0 });
    await this.#streams.show(channel, sessionId, streams, isKept ? 'kept' : from);
    return isKept;
  }

  /** A millrace relay is asked to keep our places, or gives back those that it kept. */
  async #ask(channel: ViewerChannel, sessionId: bigint, seek: number) {
    if (channel.relayProcess === undefined)
      return { ...(await channel.ask('attachSession', { sessionId, offset: 0n, seek })), isKept: false };
    const { reconnectMs = defaultReconnectMs } = this.#options;
    const keepSeconds = reconnectMs === 0 ? 0 : Math.ceil(reconnectMs / 1000) + keptLongerSeconds;
    const reply = await channel.ask('attachKept', { sessionId, key: this.#key, seek, keepSeconds });
    return { ...reply, isKept: reply.isKept === 1 };
  }

  /** Something is said to be new. */
  streamsToCome(): void {
    for (const part of this.#parts.values()) part.askAtMs = 0;
  }

  /** Looks for new parts and new streams, where it is time to. Errors: those of `attach`. */
  async look(channel: ViewerChannel): Promise<void> {
    if (performance.now() >= this.#listAtMs) await this.attach(channel);
    for (const part of this.#parts.values())
      if (!part.isOver && performance.now() >= part.askAtMs) await this.#newStreams(channel, part);
  }

  async #newStreams(channel: ViewerChannel, part: Part): Promise<void> {
    const { sessionId } = part;
    const { status, streams } = await channel.ask('getNewStreams', { sessionId });
    part.askAtMs = performance.now() + newsMs;
    if (streams.length > 0) await this.#streams.show(channel, sessionId, streams, 'new');
    // Streams that are known may still have packets.
    if (status === newStreamsStatus.hangUp || status === newStreamsStatus.error) part.isOver = true;
  }

  /** Nothing more is wanted of them. */
  async detach(channel: ViewerChannel): Promise<void> {
    for (const sessionId of this.#parts.keys()) await channel.ask('detachSession', { sessionId });
    this.#parts.clear();
  }
}
