import { resolve } from 'node:path';
import { type Disk, loadNbd } from '../../lib/index.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { usageError } from '../usage.ts';
import { parseDisk, parsePart, partOptionTable } from './disk-options.ts';
import { transfer } from './transfer.ts';

/** Reads a disk, or a part of it. */
export const read: Command = {
  name: 'read',
  summary: 'read a disk, or a part of it, to a file or to standard output',
  help: () =>
    `usage: millrace nbd read [OPTION]... URI [FILE]\n\nURI: nbd://HOST[:PORT][/EXPORT], nbds:// (TLS), nbd+unix:///[EXPORT]?socket=PATH. Into a FILE, holes stay holes.\n\n${helpText(partOptionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const { help, json, offset, operands, ...rest } = parsePart(context.argv);
  if (help) {
    context.stdout.write(read.help());
    return 0;
  }
  const [address, file = '-', ...more] = operands;
  if (more.length > 0) throw usageError('more than one FILE');
  const uri = parseDisk(address);
  const { checkPart, copyDisk, openExport, openImage, readPart, windowOf } = await loadNbd();
  await transfer(context, { json, name: 'read' }, async (report, signal) => {
    const { disk, close } = await openExport(uri, signal);
    try {
      const length = rest.length ?? Math.max(0, disk.sizeBytes - offset);
      checkPart(disk, { offset, length });
      if (file === '-') {
        const onProgress = (doneBytes: number): void =>
          report({ doneBytes, totalBytes: length, dataBytes: doneBytes });
        await readPart(disk, context.stdout, { offset, length, onProgress, signal });
      } else {
        const part: Disk = windowOf(disk, { offset, length });
        const target = await openImage(resolve(context.cwd, file), length);
        try {
          await copyDisk(part, target.disk, { isZero: target.isNew, onProgress: report, signal });
        } finally {
          await target.close();
        }
      }
    } finally {
      await close();
    }
  });
  return 0;
}
