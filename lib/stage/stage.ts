/**
 * The stage all pipes are made of: an object-mode Transform whose work is one synchronous function. What it
 * pushes reaches the next stage's function in the same tick unless somebody downstream is stalled, so one read
 * of a socket runs through the whole pipe at once.
 */
import type { Duplex } from 'node:stream';
import { objectTransform } from 'through2';
import { MillraceError, why } from '../errors.ts';
import { Slab } from './slab.ts';

/** What a stage does; see `objectStage`. */
export interface StageOptions<In, Out> {
  /**
   * Batches in each of the stage's two queues before it pushes back; 2 by default. With 1 every write counts
   * as full, and each batch waits a tick.
   */
  highWaterMark?: number;
  /** Takes over `batch`; `push` hands batches on, any number of them, now and never later. */
  transform(batch: In, push: (out: Out) => void): void;
  /** The input has ended: hands on what is left. */
  flush?(push: (out: Out) => void): void;
  /** Destroyed before its end, by an error or an abort: releases what the stage itself holds. Called once. */
  destroyed?(): void;
}

/**
 * Makes a stage. Ownership: a batch belongs to `transform`, which pushes it on or releases it. If `transform`
 * throws, the batch is released here, unless a batch with the same slab had been pushed before; slabs that it
 * retained beyond that are released by `destroyed`. Batches waiting in the stage's queues are `compose`'s matter.
 * Errors: a MillraceError thrown passes as it is, any other becomes MR_ERR_STAGE_FAILED.
 */
export function objectStage<In, Out>(name: string, options: StageOptions<In, Out>): Duplex {
  let current: Slab | undefined;
  let handedOn = false;

  const push = (out: Out): void => {
    const slab = slabOf(out);
    if (slab !== undefined && slab === current) handedOn = true;
    // a stage downstream may have brought this one down while `transform` was running
    if (stage.destroyed) slab?.release();
    else stage.push(out);
  };

  const stage = objectTransform(
    {
      highWaterMark: options.highWaterMark ?? 2,
      destroy(error, callback) {
        if (!(stage.readableEnded && stage.writableFinished)) options.destroyed?.();
        callback(error);
      },
    },
    (batch: In, _encoding, callback) => {
      current = slabOf(batch);
      handedOn = false;
      try {
        options.transform(batch, push);
      } catch (error) {
        if (!handedOn) current?.release();
        callback(stageError(name, error));
        return;
      }
      callback();
    },
    (callback) => {
      current = undefined;
      try {
        options.flush?.(push);
      } catch (error) {
        callback(stageError(name, error));
        return;
      }
      callback();
    },
  );
  // through2 builds on readable-stream, whose classes are not node:stream's but do the same
  return stage as unknown as Duplex;
}

/** The slab that a batch (or anything else that moves through a pipe) lies in, if any. */
export function slabOf(item: unknown): Slab | undefined {
  const slab = (item as { slab?: unknown } | null | undefined)?.slab;
  return slab instanceof Slab ? slab : undefined;
}

/** An error as it leaves a stage: MillraceErrors as they are, others as MR_ERR_STAGE_FAILED with their cause. */
export function stageError(stage: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  return new MillraceError('MR_ERR_STAGE_FAILED', { stage, why: why(error) }, { cause: error });
}
