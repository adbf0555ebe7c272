import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../cli/main.ts';
import { writeTrace } from '../bench/view-trace.ts';
import { fixture } from '../helpers/traces.ts';
import { fakeContext } from './fake-context.ts';

const trace = fixture('corpus/ust-many-events');

/** Runs `view` on a terminal whose pager writes to a file. */
async function paged(t: ExecutionContext, args: readonly string[], pager = 'cat > "$PAGED"') {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pager-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const PAGED = join(folder, 'paged');
  const env = { PATH: process.env.PATH, PAGER: pager, PAGED, TERM: 'dumb' };
  const context = fakeContext(t, ['view', '--clock-gmt', ...args], { env, isTerminal: true });
  const status = await main(context);
  const read = () => readFileSync(PAGED, 'utf8');
  return { status, stdout: context.words('stdout'), stderr: context.words('stderr'), read };
}

test('what goes to a terminal goes through the pager, whole', async (t) => {
  const plain = fakeContext(t, ['view', '--clock-gmt', trace], { env: { PAGER: 'false' } });
  t.is(await main(plain), 0);
  const { status, stdout, read } = await paged(t, [trace]);
  t.is(status, 0);
  t.is(stdout, '');
  t.true(plain.words('stdout').length > 0);
  t.is(read(), plain.words('stdout'));
});

test('nothing is paged with --no-pager, an empty PAGER, cat', async (t) => {
  for (const [args, pager] of [
    [['--no-pager'], undefined],
    [[], ''],
    [[], 'cat'],
  ] as const) {
    const { status, stdout, read } = await paged(t, [...args, trace], pager);
    t.is(status, 0);
    t.regex(stdout, /^\[/);
    t.throws(read);
  }
});

test('a pager that is left early ends the view, without complaint', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pager-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeTrace(folder, 20_000);
  const { status, stderr, read } = await paged(t, [folder], 'head -n 1 > "$PAGED"');
  t.is(status, 0);
  t.is(stderr, '');
  t.regex(read(), /^\[[^\n]*\n$/);
});

test('errors are told behind the pages', async (t) => {
  const { status, stderr } = await paged(t, [join(trace, 'nothing-here')]);
  t.is(status, 1);
  t.regex(stderr, /^millrace view: /);
});
