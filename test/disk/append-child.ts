/** Appends to a file until the system refuses, under a limit that the parent has set, and tells how it went. */
import { AppendFile } from '../../lib/disk/append-file.ts';
import { diskEnvironment } from '../helpers/disk.ts';

const [directory, mode] = process.argv.slice(2) as [string, string];
const env = diskEnvironment({ pooled: mode === 'pooled' });
const file = new AppendFile(directory, 'f', env);
const answers: string[] = [];
for (let n = 0; n < 5; n += 1)
  file.append([Buffer.alloc(700, n), Buffer.alloc(300, n)], 1000, (error) => {
    answers.push(error?.code ?? `${n} written`);
    if (answers.length < 5) return;
    const { writtenBytes } = file;
    file.close(
      () => 2000,
      () => process.stdout.write(JSON.stringify({ answers, writtenBytes, inFlight: env.bytesInFlight })),
    );
  });
