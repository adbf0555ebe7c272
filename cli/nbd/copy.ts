import { resolve } from 'node:path';
import { loadNbd, parseUri, type Uri } from '../../lib/index.ts';
import { helpOption, jsonOption } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';
import { transfer } from './transfer.ts';

interface CopySettings {
  help: boolean;
  json: boolean;
}

const optionTable: readonly Option<CopySettings>[] = [
  jsonOption('Print what was done as one JSON object on standard error.'),
  helpOption(),
];

/** Copies a disk. */
export const copy: Command = {
  name: 'copy',
  summary: 'copy a disk: between servers, from a server to a file, or back',
  help: () =>
    `usage: millrace nbd copy [OPTION]... SOURCE TARGET\n\nEach is the address of a disk (nbd://…, see read) or an image file. Holes stay holes; a target that is a file is made\nanew. It is durable when the program ends with 0. millrace pipe SOURCE TARGET does the same.\n\n${helpText(optionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: CopySettings = { help: false, json: false };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(copy.help());
    return 0;
  }
  const [source, target, ...more] = operands;
  if (source === undefined || target === undefined || more.length > 0)
    throw usageError('a SOURCE and a TARGET are needed');
  return await copyDisks(context, parseUri(source), parseUri(target), settings.json);
}

/** Whether a pipe between the two carries a disk. */
export function isDiskCopy(source: Uri, target: Uri): boolean {
  return source.kind === 'nbd' || target.kind === 'nbd';
}

/** Copies the disk at one address to the other; one of them may be an image file. Throws `MR_ERR_USAGE`. */
export async function copyDisks(context: Context, source: Uri, target: Uri, json: boolean): Promise<number> {
  const { copyDisk, openExport, openImage } = await loadNbd();
  const pathOf = (uri: Uri): string => {
    if (uri.kind !== 'path')
      throw usageError(`${uri.text} is neither the address of a disk nor an image file`);
    return resolve(context.cwd, uri.path);
  };
  await transfer(context, { json, name: 'copy' }, async (report, signal) => {
    const from = source.kind === 'nbd' ? await openExport(source, signal) : await openImage(pathOf(source));
    try {
      const { sizeBytes } = from.disk;
      const to =
        target.kind === 'nbd' ? await openExport(target, signal) : await openImage(pathOf(target), sizeBytes);
      try {
        await copyDisk(from.disk, to.disk, { isZero: to.isNew, onProgress: report, signal });
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
  });
  return 0;
}
