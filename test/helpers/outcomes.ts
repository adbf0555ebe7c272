import type { Duplex } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { compose, type Outcome, type Pipe } from '../../lib/stage/compose.ts';
import type { SlabPool } from '../../lib/stage/slab.ts';
import { tick } from './frames.ts';
import { type Batch, sinkInto, sourceOf, stalledSink } from './pipes.ts';

interface Subject {
  name: string;
  stage(): Duplex;
  batches(): { pool: SlabPool; batches: Batch[] };
  /** Makes time pass, for stages that wait for it. */
  goOn?(): void;
}

/**
 * Runs a stage to its three outcomes: its input ends; it, its source or its sink fails; one of them is destroyed. Every
 * time the outcome must say so, name the stage, and leave no slab lent out, with batches queued everywhere.
 */
export async function outcomes(t: ExecutionContext, subject: Subject): Promise<void> {
  const { pool, batches } = subject.batches();
  const pipe = compose([
    { name: 'source', stream: sourceOf(batches) },
    { name: subject.name, stream: subject.stage() },
    { name: 'sink', stream: sinkInto([]) },
  ]);
  t.deepEqual(await running(pipe, subject), { kind: 'end' });
  t.is(pool.inUse, 0, 'slabs after the end');

  const names = ['source', subject.name, 'sink'];
  for (const [at, name] of names.entries()) {
    const error = new MillraceError('MR_ERR_STAGE_CUT', { got: at, unit: 'stages' });
    const failed = await stopped(subject, at, error);
    t.deepEqual(failed.outcome, { kind: 'error', stage: name, error });
    t.is(failed.pool.inUse, 0, `slabs after an error in ${name}`);

    const aborted = await stopped(subject, at);
    t.deepEqual(aborted.outcome, { kind: 'abort', stage: name });
    t.is(aborted.pool.inUse, 0, `slabs after an abort of ${name}`);
  }
}

async function stopped(
  subject: Subject,
  at: number,
  error?: Error,
): Promise<{ outcome: Outcome; pool: SlabPool }> {
  const { pool, batches } = subject.batches();
  const streams = [sourceOf(batches, { stayOpen: true }), subject.stage(), stalledSink()] as const;
  const names = ['source', subject.name, 'sink'];
  const pipe = compose(streams.map((stream, i) => ({ name: names[i] as string, stream })));
  await tick();
  subject.goOn?.();
  await tick();
  streams[at]?.destroy(error);
  return { outcome: await pipe.outcome, pool };
}

async function running(pipe: Pipe, subject: Subject): Promise<Outcome> {
  let outcome: Outcome | undefined;
  void pipe.outcome.then((how) => {
    outcome = how;
  });
  while (outcome === undefined) {
    await tick();
    subject.goOn?.();
  }
  return outcome;
}
