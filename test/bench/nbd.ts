/** The NBD bench: every server under fio's nbd engine, turn by turn, on images of their own. */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { cpuSeconds, peakMemoryBytes } from './measure.ts';
import { freePort, type NbdTarget, nbdTargets, type RunningServer, startServer } from './nbd-targets.ts';
import { type Columns, type Figures, type Ratio, table } from './report.ts';
import { count, named, Rounds } from './rounds.ts';
import { compiled } from './targets.ts';

const MiB = 2 ** 20;

export const usage = `bench nbd [--quick] [--cells randread/4k/16,...] [--runs N] [--seconds N] [--mib N]
            [--against NAME,...] [--disk DIR] [--json FILE]`;

/** One load: what fio does, bytes a request, requests in flight. */
interface NbdCell {
  rw: string;
  blockSize: string;
  depth: number;
}

/** Sequential 256 KiB and random 4 KiB, reads and writes, one and sixteen at a time. */
const allCells = ['read/256k', 'write/256k', 'randread/4k', 'randwrite/4k'].flatMap((load) =>
  [1, 16].map((depth) => `${load}/${depth}`),
);

interface Plan {
  cells: readonly NbdCell[];
  targets: readonly NbdTarget[];
  runs: number;
  seconds: number;
  bytes: number;
  disk: string;
  json: string;
}

function plan(argv: string[]): Plan {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      cells: { type: 'string' },
      runs: { type: 'string' },
      seconds: { type: 'string' },
      mib: { type: 'string' },
      against: { type: 'string' },
      disk: { type: 'string', default: tmpdir() },
      json: { type: 'string', default: compiled('bench/nbd.json') },
    },
  });
  const { quick } = values;
  return {
    cells: (values.cells?.split(',') ?? allCells).map(parseCell),
    targets: chosen(values.against?.split(',')),
    runs: count('--runs', values.runs, quick ? 3 : 5),
    seconds: count('--seconds', values.seconds, quick ? 2 : 4),
    bytes: count('--mib', values.mib, 256) * MiB,
    disk: values.disk,
    json: values.json,
  };
}

function parseCell(text: string): NbdCell {
  const [, rw, blockSize, depth] = /^(\w+)\/(\d+k?)\/(\d+)$/.exec(text) ?? [];
  if (rw === undefined || blockSize === undefined || depth === undefined)
    throw new Error(`--cells ${text}: expected RW/BYTES/DEPTH, such as randread/4k/16`);
  return { rw, blockSize, depth: Number(depth) };
}

function chosen(names: readonly string[] | undefined): NbdTarget[] {
  return nbdTargets.filter(({ name, needs }) => {
    if (names !== undefined && !names.includes(name)) return false;
    if (needs === undefined || installed(needs)) return true;
    console.error(`${name} is left out: ${needs} is missing`);
    return false;
  });
}

function installed(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

const columns: Columns = {
  rate: { heading: 'MiB/s', decimals: 0 },
  requests: { heading: 'requests/s', decimals: 0 },
  p50: { heading: 'p50 µs', decimals: 0 },
  p99: { heading: 'p99 µs', decimals: 0 },
  cpu: { heading: 'CPU µs/request', decimals: 1 },
  peak: { heading: 'peak MiB', decimals: 0 },
};
const ratios: Ratio[] = [
  { column: 'requests', to: 'nbdkit' },
  { column: 'cpu', to: 'nbdkit' },
];

interface FioSide {
  iops: number;
  bw_bytes: number;
  total_ios: number;
  clat_ns: { percentile?: Record<string, number> };
}

/** One load on one server, after a second of the same that is not counted. */
async function load(server: RunningServer, cell: NbdCell, plan: Plan): Promise<Figures> {
  const cpuBefore = cpuSeconds(server.pid);
  const { stdout } = await promisify(execFile)(
    'fio',
    `--name=bench --ioengine=nbd --uri=${server.uri} --rw=${cell.rw} --bs=${cell.blockSize} --iodepth=${cell.depth}
      --size=${plan.bytes} --time_based --runtime=${plan.seconds} --ramp_time=1 --randrepeat=0 --norandommap
      --output-format=json`.split(/\s+/),
    { maxBuffer: 16 * MiB },
  );
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    jobs: [{ read: FioSide; write: FioSide; error: number }];
  };
  const [job] = jobs;
  if (job.error !== 0) throw new Error(`fio ended with error ${job.error}`);
  const side = cell.rw.includes('read') ? job.read : job.write;
  const { percentile = {} } = side.clat_ns;
  const seconds = plan.seconds + 1;
  return {
    rate: side.bw_bytes / MiB,
    requests: side.iops,
    p50: (percentile['50.000000'] ?? Number.NaN) / 1000,
    p99: (percentile['99.000000'] ?? Number.NaN) / 1000,
    cpu: ((cpuSeconds(server.pid) - cpuBefore) * 1e6) / (side.iops * seconds),
    peak: peakMemoryBytes(server.pid) / MiB,
  };
}

/** Nothing in it is a hole. */
function makeImage(path: string, bytes: number): void {
  const piece = randomBytes(MiB);
  const fd = openSync(path, 'w');
  for (let at = 0; at < bytes; at += MiB) {
    piece.writeUInt32LE(at / MiB);
    writeSync(fd, piece);
  }
  closeSync(fd);
}

/** What a server serves must be what lies in its image. */
async function check(server: RunningServer, image: string, folder: string): Promise<void> {
  const copy = join(folder, 'copy');
  await promisify(execFile)('nbdcopy', [server.uri, copy]);
  const same = readFileSync(copy).equals(readFileSync(image));
  rmSync(copy);
  if (!same) throw new Error('it does not serve what lies in the image');
}

/** Runs the bench with `argv` (see `usage`); rejects with what went wrong where. */
export async function nbdBench(argv: string[]): Promise<void> {
  const wanted = plan(argv);
  for (const program of ['fio', 'nbdcopy'])
    if (!installed(program)) throw new Error(`${program} is not installed`);
  const rounds = new Rounds(wanted.runs);
  rounds.introduce();
  const folder = mkdtempSync(join(wanted.disk, 'millrace-bench-nbd-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const servers = new Map<string, RunningServer>();
  for (const target of wanted.targets) {
    const image = join(folder, target.name);
    makeImage(image, wanted.bytes);
    const server = await startServer(target, image, await freePort(), folder);
    servers.set(target.name, server);
    await named(`${target.name}, checked`, () => check(server, image, folder));
  }
  for (const cell of wanted.cells) {
    const name = `${cell.rw} ${cell.blockSize}, depth ${cell.depth}`;
    const samples = await rounds.run(name, wanted.targets, async ({ name: of }) =>
      load(servers.get(of) as RunningServer, cell, wanted),
    );
    console.log(`\n${table(name, samples, columns, ratios).join('\n')}`);
  }
  for (const server of servers.values()) await server.stop();
  rounds.save(wanted.json);
}
