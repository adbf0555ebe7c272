/** The example of docs/view.md, run as it stands there. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { writeTrace } from '../bench/view-trace.ts';
import { fixture } from '../helpers/traces.ts';

const library = new URL('../../lib/index.js', import.meta.url).href;

test('the example of decode() in the documentation runs, and prints what it says', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-example-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const page = readFileSync(join(fixture('..'), 'docs/view.md'), 'utf8');
  const [, example = ''] = /```ts\n(.*?)```/s.exec(page) ?? [];
  t.true(example.includes("from 'millrace'"));
  const program = join(directory, 'example.mjs');
  writeFileSync(program, example.replace("'millrace'", `'${library}'`));
  // Two streams of one packet each.
  writeTrace(join(directory, 'trace'), 600);
  const printed = execFileSync(process.execPath, [program], {
    cwd: directory,
    encoding: 'utf8',
  });
  const lines = printed.trim().split('\n');
  // Every third event of the first stream; its fields as the trace was written.
  t.is(lines.length, 100);
  for (const [i, line] of lines.entries()) t.regex(line, new RegExp(`^\\d+n ${-((i * 3 + 2) % 100)} 0$`));
});
