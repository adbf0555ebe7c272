/** Program: runs one bench by name. The benches compare millrace with its peers on this machine. */

import { consumeBench, usage as consumeUsage } from './consume.ts';
import { liveBench, usage as liveUsage } from './live.ts';
import { migrationBench, usage as migrationUsage } from './migration.ts';
import { nbdBench, usage as nbdUsage } from './nbd.ts';
import { relayBench, usage as relayUsage } from './relay.ts';
import { rotationBench, usage as rotationUsage } from './rotation.ts';
import { viewBench, usage as viewUsage } from './view.ts';

const benches: Readonly<Record<string, { run: (argv: string[]) => Promise<void>; usage: string }>> = {
  nbd: {
    run: async (argv) => {
      await nbdBench(argv);
      await migrationBench(argv.includes('--quick') ? ['--quick'] : []);
    },
    usage: nbdUsage,
  },
  migration: { run: migrationBench, usage: migrationUsage },
  relay: { run: relayBench, usage: relayUsage },
  consume: { run: consumeBench, usage: consumeUsage },
  live: { run: liveBench, usage: liveUsage },
  rotation: { run: rotationBench, usage: rotationUsage },
  view: { run: viewBench, usage: viewUsage },
};

const [name = '', ...argv] = process.argv.slice(2);
const bench = benches[name];

// A bench cleans up in its 'exit' handler, which a signal alone would not reach.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

if (bench === undefined) {
  console.error(
    `usage:\n${Object.values(benches)
      .map((row) => `  ${row.usage}`)
      .join('\n')}`,
  );
  process.exitCode = 2;
} else {
  try {
    await bench.run(argv);
  } catch (error) {
    console.error(`bench ${name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
