/** Bench of reading traces: events per CPU second of millrace and of babeltrace2, on one core, turn by turn; and what threads gain. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { now } from './measure.ts';
import { type Figures, table } from './report.ts';
import { count, memoryFileSystem, Rounds } from './rounds.ts';
import type { Target } from './targets.ts';
import { writeTrace } from './view-trace.ts';

export const usage = 'view [--events N] [--runs N] [--json FILE]';

const bin = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));
const millrace = [process.execPath, bin, 'view'];

/** What is run for each kind of output, and who else can do it. */
const kinds: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  text: { babeltrace2: ['babeltrace2'], millrace },
  'no output': { babeltrace2: ['babeltrace2', '-o', 'dummy'], millrace: [...millrace, '--output', 'none'] },
  JSON: { millrace: [...millrace, '--output', 'json'] },
};

export async function viewBench(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: { events: { type: 'string' }, runs: { type: 'string' }, json: { type: 'string' } },
  });
  const events = values.events === undefined ? 2_000_000 : Number(values.events);
  if (!Number.isSafeInteger(events) || events < 1000)
    throw new Error(`--events ${values.events} is no count`);
  const rounds = new Rounds(count('--runs', values.runs, 3));
  const scratch = mkdtempSync(join(memoryFileSystem, 'millrace-bench-view-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  writeTrace(scratch, events);
  rounds.introduce();
  console.log(`- events: ${events}`);
  const hasPeer = spawnSync('babeltrace2', ['--version']).status === 0;
  if (hasPeer) compareText(scratch);
  for (const [kind, programs] of Object.entries(kinds)) {
    const names = Object.keys(programs).filter((name) => hasPeer || name !== 'babeltrace2');
    const targets = names.map((name) => ({ name }) as Target);
    const samples = await rounds.run(kind, targets, async ({ name }) =>
      run([...(programs[name] as string[]), scratch], events),
    );
    const columns = {
      rate: { heading: 'events per CPU s', decimals: 0 },
      wall: { heading: 'wall s', decimals: 2 },
      first: { heading: 'first byte ms', decimals: 0 },
      memory: { heading: 'peak MiB', decimals: 0 },
    };
    console.log(`\n${table(kind, samples, columns, [{ column: 'rate', to: 'babeltrace2' }]).join('\n')}`);
  }
  const threads = new Map(
    ['1', '2'].map((jobs) => [`--jobs ${jobs}`, [...millrace, '--jobs', jobs, scratch]]),
  );
  const samples = await rounds.run(
    'threads',
    [...threads.keys()].map((name) => ({ name })),
    ({ name }) => run(threads.get(name) as string[], events, 'nobody'),
  );
  const columns = {
    wall: { heading: 'wall s', decimals: 2 },
    rate: { heading: 'events per CPU s', decimals: 0 },
    memory: { heading: 'peak MiB', decimals: 0 },
  };
  const ratios = [{ column: 'wall', to: '--jobs 1' }];
  console.log(`\n${table('text, on both cores', samples, columns, ratios).join('\n')}`);
  if (values.json !== undefined) rounds.save(values.json);
}

/** A fast answer must be the right one first. */
function compareText(trace: string): void {
  const options = { maxBuffer: 2 ** 31 - 1, env: { ...process.env, TZ: 'UTC' } };
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const small = mkdtempSync(join(trace, 'small-'));
  writeTrace(small, 20_000);
  const [program = '', ...args] = millrace;
  const ours = execFileSync(program, [...args, small], options);
  const theirs = execFileSync('babeltrace2', [small], options);
  rmSync(small, { recursive: true });
  if (hash(ours) !== hash(theirs)) throw new Error('millrace prints something else than babeltrace2');
}

/** One run, on core 1 where this process reads what it prints, else on all cores; CPU seconds and memory are the process's own, from its parent's accounts. */
function run(
  command: readonly string[],
  events: number,
  reader: 'this' | 'nobody' = 'this',
): Promise<Figures> {
  return new Promise((resolve, reject) => {
    const before = now();
    let first = Number.NaN;
    const format = '%U %S %M';
    const placed = reader === 'this' ? ['taskset', '-c', '1', ...command] : command;
    const child = spawn('/usr/bin/time', ['-f', format, ...placed], {
      stdio: ['ignore', reader === 'this' ? 'pipe' : 'ignore', 'pipe'],
      env: { ...process.env, TZ: 'UTC' },
    });
    let words = '';
    child.stdout?.on('data', () => {
      if (Number.isNaN(first)) first = (now() - before) * 1000;
    });
    child.stderr?.on('data', (bytes: Buffer) => {
      words += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', (status) => {
      const [user, system, kib] = words.trim().split('\n').at(-1)?.split(' ').map(Number) ?? [];
      if (status !== 0 || user === undefined || system === undefined || kib === undefined)
        reject(new Error(`${command.join(' ')} ended with ${status}: ${words}`));
      else
        resolve({
          rate: events / (user + system),
          wall: now() - before,
          first: Number.isNaN(first) ? 0 : first,
          memory: kib / 1024,
        });
    });
  });
}
