/**
 * A producer's data connection: socket, framer (which asks whether each packet may pass), chunk writer. One way: the
 * relay never answers. It belongs to the session of its first packet, and to no other.
 */
import type { Socket } from 'node:net';
import { type Duplex, Transform } from 'node:stream';
import { chunkWriter } from '../disk/chunk-writer.ts';
import { StreamWriter } from '../disk/stream-writer.ts';
import { MillraceError } from '../errors.ts';
import { socketSource } from '../network/socket-source.ts';
import type { FrameBatch } from '../stage/batch.ts';
import { compose, type Outcome, type Pipe } from '../stage/compose.ts';
import { tell } from '../telemetry.ts';
import { dataFrameStage } from './data-frames.ts';
import type { ConnectionEvents, Owner, RelaySession } from './session.ts';
import type { RelayState } from './state.ts';
import type { FrameTap } from './tap.ts';

/** Lets packets pass when the tap has them; holds them back while it has no room. */
function tapStage(tap: FrameTap): Duplex {
  return new Transform({
    objectMode: true,
    highWaterMark: 2,
    transform(batch: FrameBatch, _encoding, callback) {
      tap.data(batch).then(
        () => callback(null, batch),
        (error: unknown) => {
          batch.slab?.release();
          callback(error as Error);
        },
      );
    },
  });
}

/** See the file's head. */
export class DataConnection implements Owner {
  readonly peer: string;
  readonly address: string;
  readonly openedMs = Date.now();
  session: RelaySession | undefined;
  readonly #relay: RelayState;
  readonly #events: ConnectionEvents<DataConnection>;
  readonly #pipe: Pipe;

  constructor(relay: RelayState, accepted: Socket, events: ConnectionEvents<DataConnection>) {
    this.#relay = relay;
    this.#events = events;
    this.address = accepted.remoteAddress ?? '';
    this.peer = `${this.address}:${accepted.remotePort ?? 0}`;
    const { pool, scratch, forwarder, limits } = relay;
    const forwarded = forwarder === undefined ? 0 : limits.forwardSlabsPerSession;
    const quota = pool.quota(limits.slabsPerSession + forwarded, limits.requestSlabs);
    const source = socketSource(accepted, { pool, quota, scratch, name: this.peer });
    this.#pipe = compose(
      [
        { name: 'data source', stream: source },
        { name: 'data frames', stream: dataFrameStage((stream) => this.#check(stream)) },
        ...relay.taps.map((tap) => ({ name: 'tap', stream: tapStage(tap) })),
        { name: 'chunk writer', stream: chunkWriter(relay.store) },
      ],
      (outcome) => {
        this.#ended(outcome);
        events.ended(this);
      },
    );
  }

  destroy(): void {
    this.#pipe.abort();
  }

  /** Whether a packet of this stream may pass: it must be a data stream of the connection's own session. */
  #check(handle: number): void {
    const stream = this.#relay.streams.get(handle);
    if (stream === undefined)
      throw new MillraceError('MR_ERR_RELAY_STREAM_UNKNOWN', { command: 'data', stream: handle });
    const { session, writer } = stream;
    if ((this.session !== undefined && this.session !== session) || !session.bindData(this))
      throw new MillraceError('MR_ERR_RELAY_STREAM_FOREIGN', { command: 'data', stream: handle });
    if (this.session === undefined) {
      this.session = session;
      this.#events.joined(this);
    }
    if (!(writer instanceof StreamWriter))
      throw new MillraceError('MR_ERR_RELAY_STREAM_KIND', {
        command: 'data',
        stream: handle,
        why: 'is a metadata stream',
      });
    if (writer.failed !== undefined)
      throw new MillraceError('MR_ERR_RELAY_STREAM_FAILED', {
        command: 'data',
        stream: handle,
        why: writer.failed.message,
      });
    if (!writer.hasFile)
      throw new MillraceError('MR_ERR_RELAY_STREAM_CHUNK', { command: 'data', stream: handle });
  }

  #ended(outcome: Outcome): void {
    if (outcome.kind === 'error' && outcome.error.code !== 'MR_ERR_NETWORK_LOST') {
      const { error } = outcome;
      this.#relay.refused[error.code] = (this.#relay.refused[error.code] ?? 0) + 1;
      const facts = { ...error.facts, peer: this.peer, command: 'data', session: this.session?.id };
      tell('warn', 'relay:refused', `${this.peer} data: ${error.message}`, facts, error.code);
    }
    this.session?.dataEnded(outcome.kind === 'error' && isViolation(outcome.error));
  }
}

/**
 * Whether the producer did something wrong, so that nothing of its session can be relied on. A disk that failed it,
 * or a connection that broke, leaves it its metadata, without which what is stored cannot be read.
 */
function isViolation({ code, scope }: MillraceError): boolean {
  return (
    scope !== 'stream' &&
    scope !== 'message' &&
    code !== 'MR_ERR_STAGE_TRUNCATED' &&
    code !== 'MR_ERR_NETWORK_LOST'
  );
}
