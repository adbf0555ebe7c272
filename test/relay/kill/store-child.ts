/**
 * Keeps a store, plays sessions into it, and dies in front of a given change of the file system. Arguments: output
 * directory, seed of the script, number of the change (0: none). Says on stdout what it has done (`ledger.ts`).
 */
import { Journal } from '../../../lib/disk/journal.ts';
import { TraceStore } from '../../../lib/disk/trace-store.ts';
import { openRangeLocks } from '../../../lib/os/range-locks.ts';
import { say } from './feed.ts';
import { changes, dieAt } from './mortal-fs.ts';
import { Player } from './player.ts';

const [outputPath = '', seed = '', killAt = ''] = process.argv.slice(2);
const locks = openRangeLocks();
dieAt(Number(killAt));
const journal = Journal.open(outputPath, locks);
const store = new TraceStore({
  outputPath,
  grouping: 'host',
  locks,
  journal,
  durability: 'none',
  reserveBytes: 0,
  onChunkComplete: () => undefined,
  onStreamClosed: () => undefined,
});
await new Player(store, Number(seed)).play();
await store.closed();
journal.close();
say(`changes ${changes()}`);
