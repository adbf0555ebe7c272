/**
 * Recovers an output directory, and dies in front of a given change of the file system. Arguments: output directory,
 * number of the change.
 */
import { packetReaderOf } from '../../../lib/disk/packet-reader-of.ts';
import { recover } from '../../../lib/disk/recover.ts';
import { openRangeLocks } from '../../../lib/os/range-locks.ts';
import { dieAt } from './mortal-fs.ts';

const [outputPath = '', killAt = ''] = process.argv.slice(2);
dieAt(Number(killAt));
recover(outputPath, openRangeLocks(), packetReaderOf);
