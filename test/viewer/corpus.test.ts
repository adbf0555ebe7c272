import { PassThrough } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../cli/main.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { type CorpusCase, corpusCases } from '../helpers/corpus.ts';

const counted = /^(WARNING: Tracer|\[warning\])/;

async function viewed(t: ExecutionContext, { options, env, inputs }: CorpusCase) {
  process.env.TZ = env.TZ;
  const stdout = new PassThrough();
  const chunks: Buffer[] = [];
  stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const context = { ...fakeContext(t, ['view', ...options, ...inputs], { env }), stdout };
  const status = await main(context);
  return { status, out: Buffer.concat(chunks), words: context.words('stderr') };
}

/** The first line that differs, on both sides; a hundred thousand equal ones would not help. */
function firstDifference(actual: Buffer, expected: Buffer): [string[], string[]] {
  if (actual.equals(expected)) return [[], []];
  const [a, b] = [actual, expected].map((bytes) => bytes.toString('latin1').split('\n')) as [
    string[],
    string[],
  ];
  const at = a.findIndex((line, i) => line !== b[i]);
  return at < 0 ? [[], b.slice(a.length)] : [[a[at] as string], b.slice(at, at + 1)];
}

for (const each of corpusCases())
  test.serial(`prints what babeltrace2 prints: ${each.title}`, async (t) => {
    const { status, out, words } = await viewed(t, each);
    t.deepEqual(...firstDifference(out, each.stdout));
    t.is(status, each.fails ? 1 : 0);
    if (each.fails) t.regex(words, /^millrace view: .*\/\S/m, 'the error names a file');
    if (each.warnings === undefined) return;
    const lines = words.split('\n').filter((line) => counted.test(line));
    t.is(lines.map((line) => `${each.normalized(line)}\n`).join(''), each.warnings);
  });
