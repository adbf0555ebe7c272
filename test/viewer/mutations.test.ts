import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { fixture } from '../helpers/traces.ts';
import { viewMutations } from './mutations.ts';

test('mutated traces are read or refused, and nothing else happens', async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-mutations-'));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  const { read, refused } = await viewMutations([fixture('corpus')], scratch, 500, 1);
  t.is(read + refused, 500);
  t.true(read > 20 && refused > 50, `${read} read, ${refused} refused`);
});
