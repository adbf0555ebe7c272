/**
 * A sink that streams sessions into a relay, LTTng's or ours: the producer's side of the relay protocol. Every
 * session has a pair of connections of its own, as LTTng's have.
 *
 * Backpressure: a batch is done when its bytes have been handed to the socket and little enough waits there; a
 * slab is held until the kernel has its last byte. The sink finishes when the relay has said of every session that
 * nothing is pending; any error, and any abort, drops all connections at once.
 */
import { Writable } from 'node:stream';
import { MillraceError } from '../../errors.ts';
import { type FrameBatch, releaseBatch } from '../../stage/batch.ts';
import type { Frame, SessionOpen } from '../../stage/frames.ts';
import { stageError } from '../../stage/stage.ts';
import { relayMinor } from '../commands/version.ts';
import { ClientSession } from './client-session.ts';
import { endSession, whenStored } from './ending.ts';
import { connectRelay } from './handshake.ts';
import type { RelaySink, RelaySinkOptions, SinkProgress } from './options.ts';

/**
 * Makes a sink into the relay at `options.control` and `options.data`. Takes ownership of each batch. Fails with
 * MR_ERR_NETWORK_DIAL, MR_ERR_NETWORK_LOST, MR_ERR_CLIENT_*, MR_ERR_STAGE_STALLED, MR_ERR_STAGE_ORDER; what was
 * delivered until then is in `progress`.
 */
export function relaySink(options: RelaySinkOptions): RelaySink {
  return new RelayClient(options);
}

class RelayClient extends Writable implements RelaySink {
  readonly progress: SinkProgress = {
    packets: 0,
    bytes: 0,
    acknowledgedPackets: 0,
    metadataBytes: 0,
    sessionsDone: 0,
    isMillrace: false,
    resumes: 'never',
    outputPath: '',
    minor: 0,
  };
  readonly #options: RelaySinkOptions;
  /** By the source's handle. */
  readonly #sessions = new Map<number, ClientSession>();
  /** Sessions of streams, by the source's handle of the stream. */
  readonly #ofStream = new Map<number, ClientSession>();
  readonly #stop = new AbortController();
  /** The batch, or the end, that is being dealt with. */
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: RelaySinkOptions) {
    super({ objectMode: true, highWaterMark: 2 });
    const signals = [this.#stop.signal, ...(options.signal ? [options.signal] : [])];
    this.#options = { ...options, signal: AbortSignal.any(signals) };
    const { signal } = options;
    const stopped = (): void => void this.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', stopped, { once: true });
    this.once('close', () => signal?.removeEventListener('abort', stopped));
  }

  async stored(): Promise<void> {
    const asked = [...this.#sessions.values()].map((session) => {
      const asking = whenStored(session, this.#options);
      session.asking = asking.catch(() => undefined);
      return asking;
    });
    await Promise.all(asked);
    // Of a connection that broke meanwhile, nothing is known.
    if (this.destroyed) throw stageError('relay client', this.errored ?? new Error('called off'));
  }

  override _write(batch: FrameBatch, _: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#run(
      this.#take(batch).finally(() => releaseBatch(batch)),
      callback,
    );
  }

  #run(work: Promise<void>, callback: (error?: Error | null) => void): void {
    this.#running = work.catch(() => undefined);
    work.then(
      () => callback(),
      (failure: unknown) => {
        const error = stageError('relay client', failure);
        // first destroyed: a write that fails drops the queue before `compose` has emptied it
        this.destroy(error);
        callback(error);
      },
    );
  }

  async #take({ frames, slab }: FrameBatch): Promise<void> {
    for (const frame of frames) {
      if (frame.kind === 'sessionOpen') await this.#open(frame);
      else if (frame.kind === 'sessionEnd') await this.#end(frame.session);
      else {
        const wait = this.#sessionOf(frame).take(frame, slab);
        if (wait !== undefined) await wait;
        if (frame.kind === 'streamEnd') this.#ofStream.delete(frame.stream);
      }
    }
    for (const session of this.#sessions.values()) await session.settle();
  }

  async #open(frame: SessionOpen): Promise<void> {
    const link = await connectRelay(this.#options, Math.min(frame.minor, relayMinor), (error) =>
      this.destroy(error),
    );
    const open = this.#options.rename?.(frame, link.resumes) ?? frame;
    const session = new ClientSession(link, open, this.progress);
    this.#sessions.set(frame.session, session);
    await session.create();
  }

  #sessionOf(frame: Frame): ClientSession {
    let session: ClientSession | undefined;
    if ('session' in frame) {
      session = this.#sessions.get(frame.session);
      if (session !== undefined && frame.kind === 'streamOpen') this.#ofStream.set(frame.stream, session);
    } else session = this.#ofStream.get((frame as { stream: number }).stream);
    if (session !== undefined) return session;
    const why = 'its session is not open';
    throw new MillraceError('MR_ERR_STAGE_ORDER', { frame: frame.kind, state: 'absent', why });
  }

  async #end(handle: number): Promise<void> {
    const session = this.#sessions.get(handle);
    if (session === undefined) return;
    await endSession(session, this.#options);
    this.#sessions.delete(handle);
    this.progress.sessionsDone += 1;
  }

  override _final(callback: (error?: Error | null) => void): void {
    // A source that ended without a word of its sessions has ended them.
    const all = async () => {
      for (const handle of this.#sessions.keys()) await this.#end(handle);
    };
    this.#run(all(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const reason = stageError('relay client', error ?? new Error('called off'));
    this.#stop.abort(reason);
    const gone = [...this.#sessions.values()].map((session) => session.destroy(reason));
    this.#sessions.clear();
    void Promise.all([this.#running, ...gone]).then(() => callback(error));
  }
}
