/** Output directories in which a relay has died. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Journal } from '../../lib/disk/journal.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';

/** A trace chunk that is its session's directory, and that the output directory. */
export function chunkIn(journal: Journal): number {
  return journal.chunkMade({ sessionPath: '', path: '', home: '', name: 'c' });
}

/** Leaves an output directory as a relay does that dies after `act`: the journal's files are put back. */
export function died(outputPath: string, act: (journal: Journal) => void): void {
  const journal = Journal.open(outputPath, openRangeLocks());
  act(journal);
  journal.settle();
  const path = join(outputPath, '.millrace', 'journal.mrlog');
  const bytes = readFileSync(path);
  journal.close();
  mkdirSync(join(outputPath, '.millrace'));
  writeFileSync(path, bytes);
}
