/** The live bench: what viewers get of a relay, turn by turn with lttng-relayd, and what a crowd of them costs. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { type Columns, type Figures, type Ratio, table } from './report.ts';
import { chosenTargets, count, Rounds } from './rounds.ts';
import { watching } from './runs.ts';
import { compiled, type Target, targets } from './targets.ts';
import type { WatchOrder } from './watch.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const usage =
  'bench live [--quick] [--only WHAT,...] [--runs N] [--mib N] [--against NAME,...] [--disk DIR] [--json FILE]';

const rateColumns: Columns = {
  rate: { heading: 'MB/s', decimals: 0 },
  cpu: { heading: 'CPU s/GB', decimals: 2 },
  client: { heading: "bench's own CPU s/GB", decimals: 2 },
};
const latencyColumns: Columns = {
  p50: { heading: 'p50 µs', decimals: 1 },
  p99: { heading: 'p99 µs', decimals: 1 },
};
const attachColumns: Columns = { attach: { heading: 'attached, with metadata, ms', decimals: 2 } };

const toPeer = (columns: Columns): Ratio[] =>
  Object.keys(columns)
    .filter((column) => column !== 'client')
    .map((column) => ({ column, to: 'lttng-relayd' }));

interface Plan {
  targets: readonly Target[];
  runs: number;
  runBytes: number;
  disk: string;
  json: string;
  quick: boolean;
  /** What is measured; undefined: everything. */
  only: ReadonlySet<string> | undefined;
}

function plan(argv: string[]): Plan {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      runs: { type: 'string' },
      mib: { type: 'string' },
      against: { type: 'string' },
      disk: { type: 'string', default: tmpdir() },
      json: { type: 'string', default: compiled('bench/live.json') },
    },
  });
  const { quick, only, disk, json } = values;
  const relays = targets.filter(({ storesIndexes }) => storesIndexes);
  return {
    targets: chosenTargets(values.against, relays),
    runs: count('--runs', values.runs, quick ? 3 : 5),
    runBytes: count('--mib', values.mib, quick ? 128 : 512) * MiB,
    disk,
    json,
    quick,
    only: only === undefined ? undefined : new Set(only.split(',')),
  };
}

type Order = Pick<WatchOrder, 'what' | 'packetSizeBytes' | 'packets' | 'viewers'>;

/** Runs the bench with `argv` (see `usage`); rejects with what went wrong where. */
export async function liveBench(argv: string[]): Promise<void> {
  const { targets: chosen, runs, runBytes, disk, json, quick, only } = plan(argv);
  const rounds = new Rounds(runs);
  rounds.introduce();
  const measure = async (name: string, columns: Columns, order: Order, who = chosen): Promise<void> => {
    if (only?.has(order.what) === false) return;
    const samples = await rounds.run(
      name,
      who,
      (target) => watching(target, disk, order) as Promise<Figures>,
    );
    console.log(`\n${table(name, samples, columns, toPeer(columns)).join('\n')}`);
  };
  for (const packetSizeBytes of [64 * KiB, MiB]) {
    const size = packetSizeBytes === MiB ? '1 MiB' : '64 KiB';
    const load = { packetSizeBytes, packets: Math.floor(runBytes / packetSizeBytes), viewers: 1 };
    await measure(`one viewer, stopped session, ${size}`, rateColumns, { what: 'stopped', ...load });
    await measure(`one viewer, running session, ${size}`, rateColumns, { what: 'running', ...load });
  }
  const packets = quick ? 3000 : 10_000;
  const small = { packetSizeBytes: 4 * KiB, packets, viewers: 1 };
  await measure('packet readable after its index, 4 KiB', latencyColumns, { what: 'latency', ...small });
  await measure('packet readable after its index, to a viewer that waits for it, 4 KiB', latencyColumns, {
    what: 'waiting',
    ...small,
  });
  await measure('a viewer attaches', attachColumns, { what: 'attach', ...small, viewers: 30 });
  const ours = chosen.filter(({ name }) => name === 'millrace');
  for (const viewers of [1, 8, 32]) {
    const load = { packetSizeBytes: 64 * KiB, packets: Math.floor(runBytes / 8 / 64 / KiB), viewers };
    await measure(
      `${viewers} viewers, stopped session, 64 KiB`,
      rateColumns,
      { what: 'crowd', ...load },
      ours,
    );
  }
  if (only?.has('idle') !== false) await idleViewers(rounds, ours, disk, Math.floor(runBytes / 4 / KiB));
  rounds.save(json);
}

/** With and without viewers, in the same rounds. */
async function idleViewers(
  rounds: Rounds,
  ours: readonly Target[],
  disk: string,
  packets: number,
): Promise<void> {
  const rows = ours.flatMap((target) => [
    { ...target, name: 'no viewer', viewers: 0 },
    { ...target, name: '8 idle viewers', viewers: 8 },
  ]);
  const name = 'a producer, 4 KiB';
  const samples = await rounds.run(name, rows, (row) => {
    const viewers = row.name === 'no viewer' ? 0 : 8;
    return watching(row, disk, {
      what: 'idle',
      packetSizeBytes: 4 * KiB,
      packets,
      viewers,
    }) as Promise<Figures>;
  });
  console.log(`\n${table(name, samples, rateColumns, [{ column: 'rate', to: 'no viewer' }]).join('\n')}`);
}
