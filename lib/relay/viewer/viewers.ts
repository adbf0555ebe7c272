/** All viewers of a relay: who may connect, what they may hold, and who has held others up too long. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { MillraceError } from '../../errors.ts';
import { type KeepAlive, loseVanished } from '../../os/socket-options.ts';
import { SlabPool } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import type { ViewerStatus } from '../options.ts';
import type { RelayState } from '../state.ts';
import { KeptPlaces } from './kept-places.ts';
import type { ViewedSession } from './viewed-session.ts';
import { ViewerConnection } from './viewer-connection.ts';

/** A viewer whose host has vanished is found so; one that is only idle answers. What is set for producers wins. */
function viewerKeepAlive({ enabled, ...times }: KeepAlive): KeepAlive {
  const set = Object.entries(times).filter(([, value]) => enabled && value > 0);
  return { enabled: true, idleTimeS: 60, probeIntervalS: 10, maxProbeCount: 6, ...Object.fromEntries(set) };
}

/** See the file's head. */
export class Viewers {
  readonly relay: RelayState;
  /** Names this process of the relay: its ids are valid as long as it is the same. */
  readonly instance = randomBytes(8).readBigUInt64BE();
  /** Memory for requests, apart from that of producers: one small slab for each viewer. */
  readonly pool: SlabPool;
  /** Packets that viewers missed, of those who have gone. */
  lostPackets = 0;
  readonly #connections = new Set<ViewerConnection>();
  readonly #kept: KeptPlaces;
  #isClosing = false;
  readonly #onGone: () => void;
  #lastViewerSession = 0n;

  constructor(relay: RelayState, onGone: () => void) {
    this.relay = relay;
    this.#onGone = onGone;
    this.pool = new SlabPool({ slabBytes: relay.limits.scratchBytes, slabs: relay.limits.viewers });
    this.#kept = new KeptPlaces(relay.limits.viewers, (viewed, peer) => this.detached(viewed, peer));
  }

  get size(): number {
    return this.#connections.size;
  }

  nextViewerSession(): bigint {
    this.#lastViewerSession += 1n;
    return this.#lastViewerSession;
  }

  /** Takes up a connection to the live port, or refuses it. */
  accept(socket: Socket): void {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const { viewers: expected } = this.relay.limits;
    if (this.size >= expected) {
      this.#refuse({ what: `viewer ${peer} refused, viewers`, got: this.size + 1, expected }, peer);
      // an error after this is of no interest
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    loseVanished(socket, viewerKeepAlive(this.relay.options.keepAlive));
    this.#connections.add(
      new ViewerConnection(this, socket, (ended) => {
        this.#connections.delete(ended);
        this.#onGone();
      }),
    );
    tell('debug', 'relay:connection', `live connection from ${peer}`, { peer, role: 'live' });
  }

  /** Whether a viewer may have so many streams more; one that may not is told of. */
  hasRoomFor(streams: number, peer: string): boolean {
    let viewed = streams;
    for (const connection of this.#connections) viewed += connection.streams.size;
    const { viewedStreams: expected } = this.relay.limits;
    // who is here comes before who may come back
    while (viewed + this.#kept.streams > expected && this.#kept.dropOldest());
    if (viewed <= expected) return true;
    this.#refuse({ what: `${peer} may not attach, streams of all viewers`, got: viewed, expected }, peer);
    return false;
  }

  #refuse(facts: { what: string; got: number; expected: number }, peer: string): void {
    const { code, message } = new MillraceError('MR_ERR_VIEWER_CEILING', facts);
    this.relay.refused[code] = (this.relay.refused[code] ?? 0) + 1;
    tell('warn', 'relay:refused', message, { ...facts, peer }, code);
  }

  /** The connection of an attached viewer is gone: its places are kept if it wished so. */
  left(viewed: ViewedSession, peer: string): void {
    if (viewed.keep === undefined || this.#isClosing) {
      this.detached(viewed, peer);
      return;
    }
    this.#kept.add(viewed, peer);
    const session = viewed.live.id;
    tell('info', 'relay:viewer-away', `${peer} is gone, its places in session ${session} are kept`, {
      peer,
      session,
    });
  }

  /** The places in a session that are kept under a key, or that a connection has of which nobody knows yet that it is gone. */
  takeBack(key: bigint, session: number, asking: ViewerConnection['peer']): ViewedSession | undefined {
    for (const connection of this.#connections)
      if (connection.peer !== asking && connection.attached?.get(session)?.keep?.key === key)
        connection.replaced();
    return this.#kept.take(key, session);
  }

  /** Nobody reads there any more. */
  detached(viewed: ViewedSession, peer: string): void {
    const { live, lost } = viewed;
    viewed.close();
    this.lostPackets += lost;
    const level = lost > 0 ? 'warn' : 'info';
    const missed = lost > 0 ? `, ${lost} packets were gone before it read them` : '';
    tell(level, 'relay:viewer-detached', `${peer} detached from session ${live.id}${missed}`, {
      peer,
      session: live.id,
      lost,
    });
  }

  /** Ends those who never said what they want, and those who do not take what they asked for. */
  sweep(): void {
    const { strangerSeconds, viewerStallSeconds } = this.relay.limits;
    this.#kept.sweep();
    for (const connection of this.#connections) {
      const { peer, isConnected, openedMs, stalledMs } = connection;
      if (!isConnected && Date.now() - openedMs >= strangerSeconds * 1000)
        connection.destroy(new MillraceError('MR_ERR_NETWORK_IDLE', { peer, seconds: strangerSeconds }));
      else if (stalledMs >= viewerStallSeconds * 1000)
        connection.destroy(
          new MillraceError('MR_ERR_STAGE_STALLED', { what: `viewer ${peer}`, seconds: viewerStallSeconds }),
        );
    }
  }

  destroy(): void {
    this.#isClosing = true;
    this.#kept.clear();
    for (const connection of this.#connections) connection.destroy();
  }

  status(): ViewerStatus[] {
    return [...this.#connections].map((connection) => {
      const { peer, minor, isMillrace, openedMs, totals, waitingBytes, attached } = connection;
      const sessions = [...(attached?.values() ?? [])].map(({ live, size, lost }) => ({
        id: live.id,
        hostname: live.open.hostname,
        name: live.open.sessionName,
        streams: size,
        lostPackets: lost,
      }));
      return { peer, minor, isMillrace, connectedMs: openedMs, ...totals, waitingBytes, sessions };
    });
  }
}
