/**
 * The next relay, the link to it and the forwarder die at seeded moments: towards millrace a session goes on in its own
 * directory, and in the end that is, byte for byte, what the producer sent.
 */
import { join } from 'node:path';
import test from 'ava';
import { random } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { forwardTo } from '../../helpers/forward.ts';
import { Link } from '../../helpers/link.ts';
import { TestRelay, tree, until } from '../../helpers/relay.ts';
import { RelayProcess } from '../../helpers/relay-process.ts';
import { RandomSession } from './random-session.ts';

/** More of them: `npm run torture:forward [RUNS] [SEED]`. */
const runs = Number(process.env.MILLRACE_RUNS ?? '20');
const firstSeed = Number(process.env.MILLRACE_SEED ?? '1');
const steps = 60;
/** Layouts, index files, trace chunks and whether there are indexes at all follow it. */
const minors = [15, 15, 11, 8, 4, 2];

for (let seed = firstSeed; seed < firstSeed + runs; seed += 1)
  test.serial(
    `seed ${seed}: one directory, byte for byte, however often link and next relay die`,
    async (t) => {
      t.timeout(60_000);
      const pick = random(seed);
      const directory = temporaryDirectory(t);
      const startNext = () => RelayProcess.start(t, { outputPath: join(directory, 'next') });
      let next = await startNext();
      const links = [await Link.open(t, () => next.control), await Link.open(t, () => next.data)];
      const [control, data] = links.map(({ address }) => address) as [Link['address'], Link['address']];
      const forward = forwardTo(join(directory, 'spool'), [{ control, data }]);
      const relay = await TestRelay.start(t, { forward });
      const minor = minors[seed % minors.length] ?? 15;
      const liveTimerUs = seed % 5 === 0 ? 1_000_000 : 0;
      const session = await RandomSession.open(t, relay, pick, { minor, liveTimerUs });
      const strikes = new Map(
        Array.from({ length: 3 }, (_, n) => [pick() % steps, n === 0 ? 'kill' : 'cut']),
      );
      for (let step = 0; step < steps; step += 1) {
        await session.step();
        const strike = strikes.get(step);
        // sometimes everything is there, acknowledged or on its way
        if (strike !== undefined && pick() % 2 === 0)
          await new Promise((resolve) => setTimeout(resolve, pick() % 150));
        if (strike === 'cut') for (const link of links) link.cut();
        if (strike !== 'kill') continue;
        next.kill('SIGKILL');
        await next.ended;
        next = await startNext();
      }
      await session.finish();
      await relay.empty();
      await until(
        () => relay.status().forward?.ways.length === 0,
        () => JSON.stringify(relay.status().forward),
      );
      next.kill('SIGTERM');
      await next.ended;
      const [there, here] = [tree(join(directory, 'next')), relay.tree()];
      t.deepEqual(sizes(there), sizes(here), session.story);
      for (const [path, bytes] of Object.entries(here))
        t.true(bytes === null || there[path]?.equals(bytes) === true, `${path}\n${session.story}`);
    },
  );

function sizes(files: Record<string, Buffer | null>): Record<string, number | undefined> {
  return Object.fromEntries(
    Object.keys(files)
      .sort()
      .map((path) => [path, files[path]?.length]),
  );
}
