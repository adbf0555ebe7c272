/** Program: the mutations of `mutations.test.ts`, many more of them: `npm run mutations -- [COUNT [FIRST-SEED]]`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { corpus, fixture } from '../helpers/traces.ts';
import { viewMutations } from './mutations.ts';

const [count = 20_000, first = 1000] = process.argv.slice(2).map(Number);
const roots = [fixture('corpus'), ...(corpus === undefined ? [] : [corpus])];
const scratch = mkdtempSync(join(tmpdir(), 'millrace-mutations-'));
try {
  for (let done = 0; done < count; done += 1000) {
    const { read, refused } = await viewMutations(roots, scratch, Math.min(1000, count - done), first + done);
    console.log(`seeds from ${first + done} on: ${read} read, ${refused} refused`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
