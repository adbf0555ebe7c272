/**
 * Writes facts until its file-size limit stops the journal, goes on, and says on stdout what is there then. Run
 * under a limit of some KiB. Argument: output directory.
 */
import { existsSync } from 'node:fs';
import { Journal } from '../../lib/disk/journal.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { toldChannel } from '../../lib/telemetry.ts';

const outputPath = process.argv[2] as string;
toldChannel.subscribe((told) => console.log((told as { event: string; level: string }).event));
const journal = Journal.open(outputPath, openRangeLocks());
for (let i = 0; i < 1000; i++) journal.fileCommitted(journal.fileOpened('metadata', 0, `metadata_${i}`), i);
console.log(existsSync(`${outputPath}/.millrace/journal.mrlog`) ? 'stale journal' : 'no journal');
journal.close();
console.log(existsSync(`${outputPath}/.millrace`) ? 'left behind' : 'clean');
