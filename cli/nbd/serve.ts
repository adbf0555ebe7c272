import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';
import { runServer } from './run-server.ts';
import { serveDefaults, serveOptionTable } from './serve-options.ts';

/** Serves images over NBD. */
export const serve: Command = {
  name: 'serve',
  summary: 'serve disk images to NBD clients',
  help: () =>
    `usage: millrace nbd serve [OPTION]... [NAME=]IMAGE...\n\nIMAGE is a file or block device. The first one is the default export; its NAME may be empty. Listening sockets that\na service manager hands over (LISTEN_FDS) are served in place of --address and --unix.\n\n${helpText(serveOptionTable)}\nThe first SIGTERM or SIGINT ends it once requests that have begun are answered, the second at once.\n`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings = serveDefaults();
  const { given, operands } = parseOptions(serveOptionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(serve.help());
    return 0;
  }
  if (operands.length === 0) throw usageError('an IMAGE is needed');
  if (settings.oldstyle && operands.length > 1) throw usageError('oldstyle has one export only');
  if (settings.oldstyle && (settings.certificates ?? settings.pskFile) !== undefined)
    throw usageError('oldstyle has no TLS');
  return await runServer(context, settings, operands.map(parseExport));
}

/** `NAME=IMAGE`, or a path; a path with `=` in it is written as `=PATH`. */
function parseExport(operand: string): { name: string; path: string } {
  const equals = operand.indexOf('=');
  if (equals < 0) return { name: '', path: operand };
  return { name: operand.slice(0, equals), path: operand.slice(equals + 1) };
}
