import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { findTraces } from '../../lib/viewer/find-traces.ts';
import { fixture } from '../helpers/traces.ts';

test('symbolic links lead to traces and streams; those that lead back or nowhere are passed over', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-links-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const trace = fixture('corpus/ust-time-gaps/trace/ust/uid/0/64-bit');
  mkdirSync(join(root, 'made'));
  symlinkSync('..', join(root, 'made/back'));
  symlinkSync(trace, join(root, 'linked'));
  mkdirSync(join(root, 'of links'));
  for (const name of ['metadata', 'tg_0', 'tg_1'])
    symlinkSync(join(trace, name), join(root, 'of links', name));
  symlinkSync('/nowhere', join(root, 'of links/tg_2'));
  const found = await findTraces([root]);
  t.deepEqual(
    found.map(({ suffix, streamFiles }) => [suffix, streamFiles]),
    [
      ['linked', ['tg_0', 'tg_1']],
      ['of links', ['tg_0', 'tg_1']],
    ],
  );
});
