/** One run of one relay: started anew, driven by a generator process, ended, its directory removed. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { LockstepOrder, LockstepResult } from './lockstep.ts';
import type { RunOrder, RunResult } from './produce.ts';
import type { RotateOrder, RotateResult } from './rotate.ts';
import { onCore, RunningTarget } from './running-target.ts';
import { compiled, type Target } from './targets.ts';
import { verify, verifyChunks } from './verify.ts';
import type { WatchOrder, WatchResult } from './watch.ts';

/** Milliseconds that a generator may take. */
const generatorLimitMs = 300_000;

async function generate<Order, Result>(program: string, order: Order): Promise<Result> {
  const [file, rest] = onCore(1, [process.execPath, compiled(program), JSON.stringify(order)]);
  const { stdout } = await promisify(execFile)(file, rest, { timeout: generatorLimitMs });
  return JSON.parse(stdout) as Result;
}

async function withTarget<Result>(
  target: Target,
  parent: string,
  use: (running: RunningTarget) => Promise<Result>,
): Promise<Result> {
  const running = await RunningTarget.start(target, parent);
  try {
    return await use(running);
  } finally {
    await running.stop();
    running.destroy();
  }
}

type Load = Pick<RunOrder, 'cell' | 'packetsPerStream'>;

/** Sends `load` to `target`, whose output goes below `parent`. `checked`: compares every byte on the disk too. */
export function throughput(target: Target, parent: string, load: Load, checked: boolean): Promise<RunResult> {
  return withTarget(target, parent, async (running) => {
    const order: RunOrder = { ...running.ports, pid: running.pid, ...load };
    const result = await generate<RunOrder, RunResult>('test/bench/produce.js', order);
    await running.stop();
    if (checked) verify(running.output, order, result, target.storesIndexes);
    return result;
  });
}

/** What the lockstep producer finds, and the seconds from the spawn until the relay listened. */
export function lockstep(
  target: Target,
  parent: string,
  counts: Pick<LockstepOrder, 'packets' | 'questions' | 'streams'>,
): Promise<LockstepResult & { startSeconds: number }> {
  return withTarget(target, parent, async (running) => {
    const order: LockstepOrder = { ...running.ports, pid: running.pid, ...counts };
    const result = await generate<LockstepOrder, LockstepResult>('test/bench/lockstep.js', order);
    return { ...result, startSeconds: running.startSeconds };
  });
}

/** What viewers of a session of `target` find; see `WatchOrder`. */
export function watching(
  target: Target,
  parent: string,
  order: Omit<WatchOrder, 'control' | 'data' | 'live' | 'pid'>,
): Promise<WatchResult> {
  return withTarget(target, parent, (running) => {
    const { ports, pid } = running;
    return generate<WatchOrder, WatchResult>('test/bench/watch.js', { ...ports, pid, ...order });
  });
}

/** Rotates a session of `target` again and again. `checked`: compares every byte on the disk too. */
export function rotation(
  target: Target,
  parent: string,
  counts: Pick<RotateOrder, 'packetSizeBytes' | 'streams' | 'rotations' | 'warmUp'>,
  checked: boolean,
): Promise<RotateResult> {
  return withTarget(target, parent, async (running) => {
    const { pid, output, ports } = running;
    const order: RotateOrder = { ...ports, pid, output, ...counts };
    const result = await generate<RotateOrder, RotateResult>('test/bench/rotate.js', order);
    await running.stop();
    if (checked) {
      const { packetSizeBytes, streams: streamCount, rotations: chunks } = counts;
      verifyChunks(output, { path: result.path, packetSizeBytes, streamCount, chunks });
    }
    return result;
  });
}
