import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { newEdges, openView, type Part, TextFormat, TimeText } from '../../lib/viewer/print.ts';
import { writeTrace } from '../bench/view-trace.ts';
import { corpusCases } from '../helpers/corpus.ts';
import { plainStyle } from '../helpers/view.ts';

const style = { ...plainStyle, delta: false };

/** Every part in a view of its own, from the last to the first; undefined: the trace cannot be divided. */
async function textOf(inputs: readonly string[], partBytes: number | undefined): Promise<string | undefined> {
  const open = async () => {
    const told: string[] = [];
    const run = await openView({
      inputs,
      format: new TextFormat(style, new TimeText(style.clock, () => {})),
      lost: (loss) => told.push(`lost ${loss.what} ${loss.count}\n`),
      write: async (lines) => void told.push(Buffer.from(lines).toString('latin1')),
    });
    return { run, told };
  };
  const { run, told } = await open();
  const parts = partBytes === undefined ? undefined : run.parts({ least: partBytes, most: partBytes });
  if (parts === undefined) {
    await run.run();
    await run.close();
    // Words of losses come before the lines that are still held back: their place among lines is no promise.
    return [...told.filter(isLoss), ...told.filter((each) => !isLoss(each))].join('');
  }
  await run.close();
  if (parts.length < 2) return undefined;
  const all: string[] = [];
  for (const part of parts.toReversed()) {
    const own = await open();
    await own.run.runPart(part, newEdges(), { isWatched: true });
    await own.run.close();
    all.unshift(...own.told);
  }
  return [...all.filter(isLoss), ...all.filter((each) => !isLoss(each))].join('');
}

const isLoss = (text: string) => text.startsWith('lost ');

test('the parts of any trace are the whole, in whatever order they are printed', async (t) => {
  const sources = new Map(
    corpusCases()
      .filter(({ fails, options }) => !fails && !options.includes('--clock-force-correlate'))
      .map(({ inputs }) => [inputs.join(' '), inputs]),
  );
  let divided = 0;
  for (const [title, inputs] of sources) {
    const whole = await textOf(inputs, undefined).catch(() => undefined);
    if (whole === undefined) continue;
    const parts = await textOf(inputs, 8192);
    if (parts === undefined) continue;
    divided += 1;
    t.true(parts === whole, title);
  }
  t.true(divided > 10, `${divided} traces were divided`);
});

test('parts begin where the one before ends', async (t) => {
  const trace = mkdtempSync(join(tmpdir(), 'millrace-parts-'));
  t.teardown(() => rmSync(trace, { recursive: true }));
  writeTrace(trace, 20_000);
  const run = await openView({
    inputs: [trace],
    format: new TextFormat(style, new TimeText(style.clock, () => {})),
    write: async () => {},
  });
  const parts: Part[] = run.parts({ least: 131_072, most: 131_072 });
  await run.close();
  t.true(parts.length > 3);
  t.is(parts[0]?.begin, undefined);
  t.is(parts.at(-1)?.end, undefined);
  for (const [i, { end }] of parts.slice(0, -1).entries()) t.deepEqual(parts[i + 1]?.begin, end);
});
