/** The rotation bench: trace chunks going to the archives, and tracefiles overwritten in a ring, turn by turn. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { type Cell, type Output, packetsPerStream } from './cells.ts';
import type { Ring } from './messages.ts';
import { type Columns, type Ratio, table } from './report.ts';
import { chosenTargets, count, memoryFileSystem, named, Rounds } from './rounds.ts';
import { rotation, throughput } from './runs.ts';
import { compiled, type Target, targets } from './targets.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

export const usage = `bench rotation [--quick] [--streams 1,64,1000] [--rotations N] [--warm-up N] [--runs N] [--mib N] [--against NAME,...]
            [--outputs mem,disk] [--disk DIR] [--json FILE] [--skip-rotations] [--skip-rings]`;

/** `lttng enable-channel -C 1048576 -W 4` */
const ring: Ring = { sizeBytes: MiB, count: 4 };
const ringPacketSizes = [4 * KiB, 64 * KiB];
const ringStreams = 8;
const rotatedPacketBytes = 4 * KiB;

/** Rotations of one session: /proc counts CPU in steps of 10 ms, so the short ones must be many. */
function rotationsFor(streams: number): number {
  return Math.max(6, Math.min(200, Math.round(3000 / streams)));
}

interface Plan {
  streams: number[];
  /** Of one session, the first among them; undefined: as many as keep the run short. */
  rotations: number | undefined;
  /** See `RotateOrder`. */
  warmUp: number;
  targets: readonly Target[];
  runs: number;
  runBytes: number;
  outputs: Output[];
  disk: string;
  json: string;
  rotationsWanted: boolean;
  ringsWanted: boolean;
}

function plan(argv: string[]): Plan {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      streams: { type: 'string', default: '1,64,1000' },
      rotations: { type: 'string' },
      'warm-up': { type: 'string' },
      runs: { type: 'string' },
      mib: { type: 'string' },
      against: { type: 'string' },
      outputs: { type: 'string', default: 'mem,disk' },
      disk: { type: 'string', default: tmpdir() },
      json: { type: 'string', default: compiled('bench/rotation.json') },
      'skip-rotations': { type: 'boolean', default: false },
      'skip-rings': { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  return {
    streams: values.streams.split(',').map((text) => count('--streams', text, 1)),
    rotations: values.rotations === undefined ? undefined : count('--rotations', values.rotations, 0),
    warmUp: count('--warm-up', values['warm-up'], 0),
    // The others keep no index and know no chunks.
    targets: chosenTargets(
      values.against,
      targets.filter(({ storesIndexes }) => storesIndexes),
    ),
    runs: count('--runs', values.runs, quick ? 3 : 5),
    runBytes: count('--mib', values.mib, quick ? 128 : 512) * MiB,
    outputs: values.outputs.split(',').map((name) => (name === 'mem' ? 'mem' : 'disk')),
    disk: values.disk,
    json: values.json,
    rotationsWanted: !values['skip-rotations'],
    ringsWanted: !values['skip-rings'],
  };
}

const rotationColumns: Columns = {
  closed: { heading: 'closed ms', decimals: 2 },
  archived: { heading: 'archived ms', decimals: 2 },
  first: { heading: 'first closed ms', decimals: 2 },
  cpu: { heading: 'CPU ms', decimals: 1 },
};
const rotationRatios: Ratio[] = ['closed', 'archived', 'first', 'cpu'].map((column) => ({
  column,
  to: 'lttng-relayd',
}));

const ringColumns: Columns = {
  rate: { heading: 'MB/s', decimals: 0 },
  cpu: { heading: 'CPU s/GB', decimals: 2 },
};
const ringRatios: Ratio[] = ['rate', 'cpu'].map((column) => ({ column, to: 'lttng-relayd' }));

/** One number of streams, or one size of packets, on one output. */
type Turn = (chosen: Plan, rounds: Rounds, parent: string, output: Output) => Promise<void>;

function rotationOf(streams: number): Turn {
  return async (chosen, rounds, parent, output) => {
    const name = `rotation of ${streams} ${streams === 1 ? 'stream' : 'streams'}, ${output}`;
    const rotations = Math.max(2, chosen.rotations ?? rotationsFor(streams));
    const counts = { packetSizeBytes: rotatedPacketBytes, streams, rotations, warmUp: chosen.warmUp };
    for (const target of chosen.targets)
      await named(`${name}, ${target.name}, checked run`, () => rotation(target, parent, counts, true));
    const samples = await rounds.run(name, chosen.targets, async (target) => {
      const result = await rotation(target, parent, counts, false);
      return {
        closed: result.closed * 1000,
        archived: result.archived * 1000,
        first: result.firstClosed * 1000,
        cpu: result.cpuSeconds * 1000,
      };
    });
    console.log(`\n${table(name, samples, rotationColumns, rotationRatios).join('\n')}`);
  };
}

function ringOf(packetSizeBytes: number): Turn {
  return async (chosen, rounds, parent, output) => {
    const name = `ring of ${ring.count} × 1 MiB, ${ringStreams} streams, ${packetSizeBytes / KiB} KiB, ${output}`;
    const cell: Cell = { packetSizeBytes, streamCount: ringStreams, sessionCount: 1, output, ring };
    const load = { cell, packetsPerStream: packetsPerStream(cell, chosen.runBytes) };
    for (const target of chosen.targets)
      await named(`${name}, ${target.name}, checked run`, () => throughput(target, parent, load, true));
    const samples = await rounds.run(name, chosen.targets, async (target) => {
      const result = await throughput(target, parent, load, false);
      return {
        rate: result.bytes / 1e6 / result.seconds,
        cpu: result.cpuSeconds / (result.bytes / 1e9),
      };
    });
    console.log(`\n${table(name, samples, ringColumns, ringRatios).join('\n')}`);
  };
}

/** Runs the bench with `argv` (see `usage`); rejects with what went wrong where. */
export async function rotationBench(argv: string[]): Promise<void> {
  const chosen = plan(argv);
  const rounds = new Rounds(chosen.runs);
  rounds.introduce();
  const turns = [
    ...(chosen.rotationsWanted ? chosen.streams.map(rotationOf) : []),
    ...(chosen.ringsWanted ? ringPacketSizes.map(ringOf) : []),
  ];
  for (const output of chosen.outputs) {
    const parent = output === 'mem' ? memoryFileSystem : chosen.disk;
    for (const turn of turns) await turn(chosen, rounds, parent, output);
  }
  rounds.save(chosen.json);
}
