/**
 * `npm run torture [RUNS] [FIRST-SEED]`: 200 runs unless told, two at a time. Ends with 1 at the first run that went wrong,
 * with its seed and story.
 */
import { availableParallelism } from 'node:os';
import { type Outcome, tortureRun } from './run.ts';

const [runs = '200', first = '1'] = process.argv.slice(2);
let next = Number(first);
const end = next + Number(runs);
const counts = { source: 0, destination: 0, acked: 0 };

function report({ seed, story, canonical, acked, wrong }: Outcome): void {
  counts[canonical] += 1;
  counts.acked += acked;
  process.stdout.write(`${seed}: ${canonical}, ${acked} writes acknowledged\n`);
  if (wrong === undefined) return;
  process.stdout.write(`seed ${seed}: ${wrong}\n  ${story.join('\n  ')}\n`);
  process.exitCode = 1;
  next = end;
}

async function work(): Promise<void> {
  while (next < end) {
    const seed = next;
    next += 1;
    report(await tortureRun(seed));
  }
}

await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
process.stdout.write(
  `the source counts ${counts.source} times, the destination ${counts.destination} times; ${counts.acked} writes acknowledged\n`,
);
