/**
 * Program: the mutations of `mutations.test.ts`, many more of them, as text, a fifth of them as JSON and a fifth for
 * Perfetto; and mutations of a larger trace, of which threads must print what one thread prints: `npm run mutations --
 * [COUNT [FIRST-SEED]]`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JsonFormat, PerfettoFormat } from '../../lib/viewer/index.ts';
import { writeTrace } from '../bench/view-trace.ts';
import { corpus, fixture } from '../helpers/traces.ts';
import { viewText } from '../helpers/view.ts';
import { mutateTrace, viewMutations } from './mutations.ts';

const [count = 20_000, first = 1000] = process.argv.slice(2).map(Number);
const roots = [fixture('corpus'), ...(corpus === undefined ? [] : [corpus])];
const scratch = mkdtempSync(join(tmpdir(), 'millrace-mutations-'));
const bin = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));
const outputs = [
  () => undefined,
  () => new JsonFormat(),
  () => undefined,
  () => new PerfettoFormat(),
  () => undefined,
];

function run(trace: string, jobs: number): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [bin, 'view', '--clock-gmt', '--jobs', String(jobs), trace],
    { maxBuffer: 2 ** 30, timeout: 60_000 },
  );
  return `${stdout.toString('latin1')}${stderr.toString()}status ${status}`;
}

try {
  let turn = 0;
  for (let done = 0; done < count; done += 1000) {
    const { read, refused } = await viewMutations(
      roots,
      scratch,
      Math.min(1000, count - done),
      first + done,
      (inputs) => viewText(inputs, outputs[turn++ % outputs.length]?.()),
    );
    console.log(`seeds from ${first + done} on: ${read} read, ${refused} refused`);
  }
  const large = join(scratch, 'large');
  writeTrace(large, 130_000);
  const ends = { done: 0, failed: 0 };
  for (let seed = first; seed < first + count / 200; seed++) {
    const trace = mutateTrace(large, scratch, seed, Number.POSITIVE_INFINITY);
    const one = run(trace, 1);
    if (run(trace, 2) !== one) throw new Error(`seed ${seed}: two threads do not print what one prints`);
    if (!/status [01]$/.test(one)) throw new Error(`seed ${seed}: ${one.slice(-200)}`);
    ends[one.endsWith('0') ? 'done' : 'failed'] += 1;
  }
  console.log(`with threads as without: ${ends.done} to the end, ${ends.failed} with an error`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
