/** The relay bench: every relay under the same producers, turn by turn. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { allCells, type Cell, cellName, packetsPerStream, parseCells, quickCells } from './cells.ts';
import type { RunResult } from './produce.ts';
import { type Columns, type Figures, medianOf, type Ratio, table } from './report.ts';
import { chosenTargets, count, memoryFileSystem, named, Rounds } from './rounds.ts';
import { lockstep, throughput } from './runs.ts';
import { compiled, discard, type Target, targets } from './targets.ts';

const MiB = 2 ** 20;

export const usage = `bench relay [--quick] [--cells 4k/8/1/mem,...] [--runs N] [--mib N] [--against NAME,...]
            [--disk DIR] [--json FILE] [--skip-lockstep] [--skip-cells]`;

interface Plan {
  cells: readonly Cell[];
  targets: readonly Target[];
  runs: number;
  runBytes: number;
  disk: string;
  json: string;
  cellsWanted: boolean;
  lockstepWanted: boolean;
  lockstep: { packets: number; questions: number; streams: number };
}

function plan(argv: string[]): Plan {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      cells: { type: 'string' },
      runs: { type: 'string' },
      mib: { type: 'string' },
      against: { type: 'string' },
      disk: { type: 'string', default: tmpdir() },
      json: { type: 'string', default: compiled('bench/relay.json') },
      'skip-cells': { type: 'boolean', default: false },
      'skip-lockstep': { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  return {
    cells: values.cells === undefined ? (quick ? quickCells : allCells) : parseCells(values.cells),
    targets: chosenTargets(values.against, targets),
    runs: count('--runs', values.runs, quick ? 3 : 5),
    runBytes: count('--mib', values.mib, quick ? 128 : 512) * MiB,
    disk: values.disk,
    json: values.json,
    cellsWanted: !values['skip-cells'],
    lockstepWanted: !values['skip-lockstep'],
    lockstep: { packets: quick ? 5000 : 20_000, questions: 5000, streams: 1000 },
  };
}

const cellColumns: Columns = {
  rate: { heading: 'MB/s', decimals: 0 },
  packets: { heading: 'packets/s', decimals: 0 },
  cpu: { heading: 'CPU s/GB', decimals: 2 },
  peak: { heading: 'peak MiB', decimals: 0 },
};
const cellRatios: Ratio[] = ['lttng-relayd', 'plain'].flatMap((to) => [
  { column: 'rate', to },
  { column: 'cpu', to },
]);

function cellFigures(result: RunResult): Figures {
  return {
    rate: result.bytes / 1e6 / result.seconds,
    packets: result.packets / result.seconds,
    cpu: result.cpuSeconds / (result.bytes / 1e9),
    peak: result.peakMemoryBytes / MiB,
  };
}

const lockstepColumns: Columns = {
  indexP50: { heading: 'index p50 µs', decimals: 1 },
  indexP99: { heading: 'index p99 µs', decimals: 1 },
  packetsPerSecond: { heading: 'packets/s', decimals: 0 },
  packetCpu: { heading: 'CPU µs/packet', decimals: 1 },
  controlP50: { heading: 'control p50 µs', decimals: 1 },
  controlP99: { heading: 'control p99 µs', decimals: 1 },
  addStream: { heading: 'ADD_STREAM µs', decimals: 1 },
  start: { heading: 'start ms', decimals: 0 },
  manyStreams: { heading: 'peak MiB, 1000 streams', decimals: 0 },
  largePackets: { heading: 'peak MiB, 8 MiB packets', decimals: 0 },
  growth: { heading: 'MiB more after a run ten times as long', decimals: 1 },
};
const lockstepRatios: Ratio[] = ['indexP50', 'indexP99', 'packetsPerSecond', 'addStream'].map((column) => ({
  column,
  to: 'lttng-relayd',
}));

class RelayBench {
  readonly #plan: Plan;
  readonly #rounds: Rounds;

  constructor(chosen: Plan) {
    this.#plan = chosen;
    this.#rounds = new Rounds(chosen.runs);
  }

  async run(): Promise<void> {
    this.#rounds.introduce();
    if (this.#plan.cellsWanted) await this.#ceiling();
    for (const cell of this.#plan.cellsWanted ? this.#plan.cells : []) await this.#cell(cell);
    if (this.#plan.lockstepWanted) await this.#lockstep();
    this.#rounds.save(this.#plan.json);
  }

  /** What the generator alone can do, so that a relay near it is known to be faster than measured. */
  async #ceiling(): Promise<void> {
    const cell: Cell = { packetSizeBytes: 4096, streamCount: 8, sessionCount: 1, output: 'mem' };
    const load = { cell, packetsPerStream: packetsPerStream(cell, this.#plan.runBytes) };
    const samples = await this.#rounds.run('generator into nothing, 4k/8/1', [discard], async (target) =>
      cellFigures(await throughput(target, memoryFileSystem, load, false)),
    );
    const rate = medianOf(samples, discard.name, 'rate').toFixed(0);
    const packets = medianOf(samples, discard.name, 'packets').toFixed(0);
    console.log(`- generator's ceiling with packets of 4 KiB: ${rate} MB/s, ${packets} packets/s`);
  }

  async #cell(cell: Cell): Promise<void> {
    const name = cellName(cell);
    const parent = cell.output === 'mem' ? memoryFileSystem : this.#plan.disk;
    const load = { cell, packetsPerStream: packetsPerStream(cell, this.#plan.runBytes) };
    for (const target of this.#plan.targets) {
      await named(`${name}, ${target.name}, checked run`, () => throughput(target, parent, load, true));
    }
    const samples = await this.#rounds.run(name, this.#plan.targets, async (target) =>
      cellFigures(await throughput(target, parent, load, false)),
    );
    console.log(`\n${table(name, samples, cellColumns, cellRatios).join('\n')}`);
  }

  async #lockstep(): Promise<void> {
    const peak = async (target: Target, packetSizeBytes: number, bytes: number) => {
      const cell: Cell = { packetSizeBytes, streamCount: 8, sessionCount: 1, output: 'mem' };
      const load = { cell, packetsPerStream: packetsPerStream(cell, bytes) };
      return (await throughput(target, memoryFileSystem, load, false)).peakMemoryBytes / MiB;
    };
    const samples = await this.#rounds.run('lockstep', this.#plan.targets, async (target) => {
      const { startSeconds, manyStreamsBytes, ...rest } = await lockstep(
        target,
        memoryFileSystem,
        this.#plan.lockstep,
      );
      const short = await peak(target, 4096, this.#plan.runBytes / 8);
      return {
        ...rest,
        start: startSeconds * 1000,
        manyStreams: manyStreamsBytes / MiB,
        largePackets: await peak(target, 8 * MiB, this.#plan.runBytes),
        growth: (await peak(target, 4096, (this.#plan.runBytes / 8) * 10)) - short,
      };
    });
    console.log(`\n${table('lockstep, 4k', samples, lockstepColumns, lockstepRatios).join('\n')}`);
  }
}

/** Runs the bench with `argv` (see `usage`); rejects with what went wrong where. */
export async function relayBench(argv: string[]): Promise<void> {
  await new RelayBench(plan(argv)).run();
}
