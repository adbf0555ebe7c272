import { resolve } from 'node:path';
import { loadNbd } from '../../lib/index.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { usageError } from '../usage.ts';
import { parseDisk, parsePart, partOptionTable } from './disk-options.ts';
import { transfer } from './transfer.ts';

/** Writes a disk, or a part of it. */
export const write: Command = {
  name: 'write',
  summary: 'write a file or standard input to a disk, or to a part of it',
  help: () =>
    `usage: millrace nbd write [OPTION]... URI [FILE]\n\nURI: as for read. Without a FILE standard input is written, which must have --size bytes; of a FILE all is written,\nits holes as holes. It is durable when the program ends with 0.\n\n${helpText(partOptionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const { help, json, offset, operands, ...rest } = parsePart(context.argv);
  if (help) {
    context.stdout.write(write.help());
    return 0;
  }
  const [address, file = '-', ...more] = operands;
  if (more.length > 0) throw usageError('more than one FILE');
  const uri = parseDisk(address);
  const { checkPart, copyDisk, openExport, openImage, windowOf, writePart } = await loadNbd();
  await transfer(context, { json, name: 'write' }, async (report, signal) => {
    const { disk, close } = await openExport(uri, signal);
    try {
      if (file === '-') {
        const length = rest.length ?? Math.max(0, disk.sizeBytes - offset);
        const onProgress = (doneBytes: number): void =>
          report({ doneBytes, totalBytes: length, dataBytes: doneBytes });
        await writePart(disk, context.stdin(), { offset, length, onProgress, signal });
      } else {
        const source = await openImage(resolve(context.cwd, file));
        try {
          const length = rest.length ?? source.disk.sizeBytes;
          checkPart(disk, { offset, length });
          const part = windowOf(source.disk, { offset: 0, length });
          await copyDisk(part, windowOf(disk, { offset, length }), { onProgress: report, signal });
        } finally {
          await source.close();
        }
      }
    } finally {
      await close();
    }
  });
  return 0;
}
