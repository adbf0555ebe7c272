/**
 * Composition: the one place that calls pump. pump destroys the neighbours of a failed stage without telling
 * them why, and its own "premature close" carries no code; so every stage is watched here, at the moment it is
 * destroyed, and the first one to go names the outcome.
 *
 * A batch that waits in a queue belongs to nobody else: a stage that is destroyed has its queues emptied here and
 * their slabs released. What a sink or source holds outside its queues (a batch being written) it releases itself
 * in its `destroy`.
 */
import type { Duplex, Readable, Writable } from 'node:stream';
import pump from 'pump';
import type { MillraceError } from '../errors.ts';
import { slabOf, stageError } from './stage.ts';

/** A stage and the name that outcomes call it by. */
export interface NamedStage {
  name: string;
  stream: Readable | Writable | Duplex;
}

/**
 * How a pipe went. `end`: the last stage finished. `error`: `stage` failed first, with `error`. `abort`: `stage`
 * was destroyed without an error before its end; `owner` is who called `Pipe.abort`.
 */
export type Outcome =
  | { kind: 'end' }
  | { kind: 'error'; stage: string; error: MillraceError }
  | { kind: 'abort'; stage: string };

/** A running pipe. */
export interface Pipe {
  /** Never rejects. After `error` and `abort` it comes when every stage has closed. */
  readonly outcome: Promise<Outcome>;
  /** Destroys every stage; with a `cause` the outcome is that error, at the stage `owner`. */
  abort(cause?: MillraceError): void;
}

/**
 * Connects `stages` (two or more, source first, sink last; a socket may be both) and watches them. `done` is called
 * once with the outcome that the pipe's promise resolves to. Foreign errors come as MR_ERR_STAGE_FAILED.
 */
export function compose(stages: readonly NamedStage[], done: (outcome: Outcome) => void = () => {}): Pipe {
  const streams = stages.map(({ stream }) => stream) as Duplex[];
  const sink = streams.at(-1) as Writable;
  const open = new Set(streams);
  const gone = streams.flatMap((stream, at) =>
    stream.destroyed ? [[stream, stages[at]?.name ?? ''] as const] : [],
  );
  let failure: Outcome | undefined;
  let ended = false;

  let settle: (how: Outcome) => void = () => {};
  const outcome = new Promise<Outcome>((resolve) => {
    settle = resolve;
  });
  void outcome.then(done);

  const fail = (how: Outcome): void => {
    if (failure !== undefined || ended) return;
    failure = how;
    // pump spares a stage that has ended but is not closed, such as the other direction of a socket
    for (const stream of streams) stream.destroy();
  };
  const failed = (stage: string, error: unknown): void =>
    fail({ kind: 'error', stage, error: stageError(stage, error) });

  const closed = (stream: Duplex): void => {
    open.delete(stream);
    if (open.size === 0 && failure !== undefined) settle(failure);
  };

  const isComplete = (stream: Duplex): boolean =>
    streams.every(
      (other, at) =>
        other !== stream ||
        ((at === 0 || stream.writableFinished) && (at === streams.length - 1 || stream.readableEnded)),
    );

  for (const [at, { name }] of stages.entries()) {
    const stream = streams[at] as Duplex;
    if (streams.indexOf(stream) < at) continue;
    stream.on('error', (error) => failed(name, error));
    stream.on('close', () => closed(stream));
    onDestroy(stream, (error) => {
      detach(streams, stream);
      releaseQueues(stream);
      if (error) failed(name, error);
      // once the sink has finished, what is left upstream is pump's to clear away
      else if (!sink.writableFinished && !isComplete(stream)) fail({ kind: 'abort', stage: name });
    });
  }

  pump(streams, () => {
    if (failure !== undefined) return;
    ended = true;
    settle({ kind: 'end' });
  });

  for (const [stream, name] of gone) {
    detach(streams, stream);
    releaseQueues(stream);
    if (stream.errored) failed(name, stream.errored);
    else fail({ kind: 'abort', stage: name });
    closed(stream);
  }

  return {
    outcome,
    abort(cause) {
      if (cause === undefined) fail({ kind: 'abort', stage: 'owner' });
      else failed('owner', cause);
    },
  };
}

/** Calls `hook` as soon as the stream is destroyed, before it cleans up. */
function onDestroy(stream: Duplex, hook: (error: Error | null) => void): void {
  const destroy = stream._destroy.bind(stream);
  stream._destroy = (error, callback) => {
    try {
      hook(error);
    } catch (bug) {
      // Node would take it for an error of this stage
      process.nextTick(() => {
        throw bug;
      });
    }
    destroy(error, callback);
  };
}

/** Stops whoever feeds a destroyed stage at once: what is written to it from now on would be lost. */
function detach(streams: readonly Duplex[], stream: Duplex): void {
  for (const [at, fed] of streams.entries()) {
    if (fed === stream && at > 0) streams[at - 1]?.unpipe(stream);
    if (fed === stream && at < streams.length - 1) stream.unpipe();
  }
}

/** Empties both queues of a destroyed object-mode stage and gives their slabs home. */
function releaseQueues(stream: Duplex): void {
  if (stream.readableObjectMode) {
    stream.removeAllListeners('data');
    // not read(): reading past the last one would let a destroyed stage emit 'end'
    while (stream.readableLength > 0) slabOf(stream.read(1))?.release();
  }
  if (stream.writableObjectMode) {
    // the queue as Node's own getter shows it; Node drops these writes right after this
    const { writableBuffer } = stream as Duplex & {
      writableBuffer: ReadonlyArray<{ chunk: unknown } | null>;
    };
    for (const write of writableBuffer) slabOf(write?.chunk)?.release();
  }
}
