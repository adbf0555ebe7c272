/**
 * The network consumer that can be steered while it runs: where frames go is a target that can be disabled, enabled and
 * replaced. A change happens between packets: the old target is told the end of everything that is open and has taken
 * all of it before the new one is opened and told of the same; so no packet is lost or doubled. While there is no
 * target, whoever sends is held back. Source: LTTng's network consumer RFC (set a new URI: free the old consumer, install
 * the new one; enable, disable).
 */
import { Writable } from 'node:stream';
import { MillraceError, why } from '../errors.ts';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import type { SessionOpen } from '../stage/frames.ts';
import { stageError } from '../stage/stage.ts';
import { Standing } from '../stage/standing.ts';
import { tell } from '../telemetry.ts';

export interface ConsumerOptions {
  /** Where frames go at first; undefined: nowhere yet. */
  uri?: string;
  /** false: frames are held back until `enable`. */
  enabled?: boolean;
  /** Opens a target; what it says of a wrong one is what `setUri` rejects with. */
  open(uri: string): Promise<Writable>;
  /** The name of each session at every target. */
  rename?: (open: SessionOpen) => SessionOpen;
}

/** `switching`: a change waits for the packet under way. */
export interface ConsumerStatus {
  state: 'streaming' | 'switching' | 'disabled' | 'ended' | 'failed';
  uri: string | undefined;
  /** Targets opened so far. */
  targets: number;
}

interface Target {
  uri: string;
  sink: Writable;
}

/** Names of sessions are bounded; the part's number must stay. */
const longestName = 230;

/** See the file's head. A Writable of FrameBatch: ends when the last target has finished. */
export class Consumer extends Writable {
  readonly #options: ConsumerOptions;
  readonly #standing = new Standing();
  #uri: string | undefined;
  #enabled: boolean;
  #target: Target | undefined;
  #targets = 0;
  /** One after the other: batches and changes. */
  #turn: Promise<unknown> = Promise.resolve();
  #changes: { done: () => void; failed: (error: unknown) => void }[] = [];
  #wake: () => void = () => {};

  /** A target that cannot be opened fails the first write. */
  constructor(options: ConsumerOptions) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#options = options;
    this.#uri = options.uri;
    this.#enabled = options.enabled ?? true;
  }

  get status(): ConsumerStatus {
    return { state: this.#state, uri: this.#uri, targets: this.#targets };
  }

  get #state(): ConsumerStatus['state'] {
    if (this.errored) return 'failed';
    if (this.writableFinished || this.destroyed) return 'ended';
    if (this.#changes.length > 0) return 'switching';
    return this.#enabled && this.#uri !== undefined ? 'streaming' : 'disabled';
  }

  /** The sink that frames go to at the moment. */
  get sink(): Writable | undefined {
    return this.#target?.sink;
  }

  /** Another target. Resolves when it is in place, or noted for `enable`. Rejects with what opening it says. */
  setUri(uri: string): Promise<void> {
    this.#uri = uri;
    return this.#changed();
  }

  /** Streams again, to the last URI set. */
  enable(): Promise<void> {
    if (this.#uri === undefined)
      return Promise.reject(
        new MillraceError('MR_ERR_CONTROL_COMMAND', { command: 'enable', why: 'no URI was set' }),
      );
    this.#enabled = true;
    return this.#changed();
  }

  /** Ends everything at the target and holds back who sends; resolves when the target has all of it. */
  disable(): Promise<void> {
    this.#enabled = false;
    return this.#changed();
  }

  #changed(): Promise<void> {
    if (this.destroyed || this.writableFinished)
      return Promise.reject(
        new MillraceError('MR_ERR_CONTROL_COMMAND', { command: 'consumer', why: 'it has ended' }),
      );
    const change = new Promise<void>((done, failed) => this.#changes.push({ done, failed }));
    this.#wake();
    void this.#inTurn(() => this.#settle()).catch(() => undefined);
    return change;
  }

  /** Does what was asked for, if no packet is under way. */
  async #settle(): Promise<void> {
    if (this.#changes.length === 0 || !this.#standing.isBetween) return;
    const changes = this.#changes.splice(0);
    let failure: unknown;
    if (this.#target !== undefined)
      await this.#leave(this.#target).catch((error: unknown) => {
        failure = error;
      });
    if (this.#enabled && this.#uri !== undefined && !this.#standing.isEmpty)
      await this.#join(this.#uri).catch((error: unknown) => {
        // Nothing was sent there: who steers may name another.
        this.#enabled = false;
        failure ??= error;
      });
    if (failure === undefined) for (const { done } of changes) done();
    else {
      tell('error', 'consumer:target', why(failure), { uri: this.#uri });
      for (const { failed } of changes) failed(failure);
    }
  }

  async #leave({ uri, sink }: Target): Promise<void> {
    this.#target = undefined;
    const frames = this.#standing.closing();
    if (frames.length > 0) await write(sink, { slab: undefined, frames });
    await finish(sink);
    tell('info', 'consumer:left', `${uri} has everything that was sent there`, { uri });
  }

  /** Opens a target and tells it what stands open. */
  async #join(uri: string): Promise<void> {
    const sink = await this.#options.open(uri);
    const target = { uri, sink };
    sink.on('error', (error) => {
      if (this.#target === target) this.destroy(stageError('target', error));
    });
    this.#targets += 1;
    for (const batch of this.#standing.opening((open) => this.#partOf(open))) await write(sink, batch);
    this.#target = target;
    tell('info', 'consumer:target', `streaming to ${uri}`, { uri, target: this.#targets });
  }

  /** The rest of a session must not lie where its beginning does: its name says so. */
  #partOf(open: SessionOpen): SessionOpen {
    const part = this.#targets;
    const renamed = this.#named(open);
    const sessionName = `${renamed.sessionName.slice(0, longestName)}-part-${part}`;
    const idSessiond =
      renamed.idSessiond === undefined ? undefined : renamed.idSessiond + (BigInt(part) << 32n);
    return { ...renamed, sessionName, idSessiond };
  }

  #named(open: SessionOpen): SessionOpen {
    return this.#options.rename?.(open) ?? open;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  override _write(batch: FrameBatch, _: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#inTurn(() => this.#take(batch)).then(
      () => callback(),
      (failure: unknown) => {
        const error = stageError('consumer', failure);
        // first destroyed: a write that fails drops the queue before `compose` has emptied it
        this.destroy(error);
        callback(error);
      },
    );
  }

  async #take(batch: FrameBatch): Promise<void> {
    const { frames, slab } = batch;
    try {
      for (let at = 0; at < frames.length; ) {
        const sink = await this.#ready();
        let end = at;
        do {
          this.#standing.take(frames[end] as FrameBatch['frames'][number], slab);
          end += 1;
        } while (end < frames.length && !(this.#changes.length > 0 && this.#standing.isBetween));
        const part = frames
          .slice(at, end)
          .map((frame) => (frame.kind === 'sessionOpen' ? this.#named(frame) : frame));
        await write(sink, { slab: slab?.retain(), frames: part });
        at = end;
      }
    } finally {
      releaseBatch(batch);
    }
  }

  /** The target, as soon as there is one. */
  async #ready(): Promise<Writable> {
    for (;;) {
      await this.#settle();
      if (this.destroyed) throw new Error('called off');
      if (this.#target !== undefined) return this.#target.sink;
      if (this.#enabled && this.#uri !== undefined) await this.#join(this.#uri);
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  override _final(callback: (error?: Error | null) => void): void {
    const end = async () => {
      const target = this.#target;
      this.#target = undefined;
      if (target !== undefined) await finish(target.sink);
      for (const { done } of this.#changes.splice(0)) done();
    };
    this.#inTurn(end).then(
      () => callback(),
      (error: unknown) => callback(stageError('consumer', error)),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#wake();
    const target = this.#target;
    this.#target = undefined;
    for (const { failed } of this.#changes.splice(0)) failed(error ?? new Error('called off'));
    if (target === undefined || target.sink.closed) {
      callback(error);
      return;
    }
    target.sink.once('close', () => callback(error));
    target.sink.destroy(error ?? undefined);
  }
}

function write(sink: Writable, batch: FrameBatch): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(batch, (error) => (error ? reject(error) : resolve()));
  });
}

function finish(sink: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.once('error', reject).once('close', () => {
      if (sink.writableFinished) resolve();
      else reject(new Error('destroyed before its end'));
    });
    sink.end();
  });
}
