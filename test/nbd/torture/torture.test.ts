/** Twenty runs of `npm run torture`; a run that goes wrong says its seed and its story. */
import test from 'ava';
import { tortureRun } from './run.ts';

const runs = 20;

test('migrations under faults: exactly one copy counts, and it holds every acknowledged write', async (t) => {
  let seed = 1000;
  const work = async (): Promise<void> => {
    while (seed < 1000 + runs) {
      const own = seed;
      seed += 1;
      const { wrong, story, acked } = await tortureRun(own);
      t.is(wrong, undefined, `seed ${own}\n${story.join('\n')}`);
      t.true(acked > 0, `seed ${own}`);
    }
  };
  await Promise.all([work(), work()]);
});
