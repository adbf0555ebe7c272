/** flexnbd's command line: modes, options, output and exit statuses as its own. Source: nbd-migration, C. */
import { why } from '../../lib/index.ts';
import { acl, breakMirror, mirror, mirrorSpeed, status } from '../compat/flexnbd/control-modes.ts';
import { type Mode, modeHelp, parseMode } from '../compat/flexnbd/mode.ts';
import { proxy } from '../compat/flexnbd/proxy-mode.ts';
import { read, write } from '../compat/flexnbd/request-modes.ts';
import { listen, serve } from '../compat/flexnbd/server-modes.ts';
import type { Command, Context } from '../context.ts';
import { isUsageError } from '../usage.ts';

const modes: readonly Mode[] = [
  serve,
  listen,
  mirror,
  mirrorSpeed,
  breakMirror,
  status,
  acl,
  read,
  write,
  proxy,
];

/** See the file's head. */
export const flexnbd: Command = {
  name: 'flexnbd',
  summary: "serve and migrate disks by flexnbd's command line",
  help: overview,
  usageStatus: 1,
  run,
};

function overview(): string {
  const width = Math.max(...modes.map(({ name }) => name.length));
  const lines = modes.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `usage: millrace flexnbd MODE [OPTION]...\n       millrace flexnbd help [MODE]\n\n${lines.join('')}`;
}

async function run(context: Context): Promise<number> {
  const [name, ...argv] = context.argv;
  if (name === 'help' || name === '--help' || name === '-h') return help(context, argv[0]);
  const mode = modes.find((each) => each.name === name);
  if (mode === undefined) {
    // as flexnbd does: not even an error
    context.stdout.write(overview());
    return 1;
  }
  try {
    const { settings, operands } = parseMode(mode, argv);
    if (settings.help) return help(context, mode.name);
    return await mode.run(context, settings, operands);
  } catch (error) {
    context.stderr.write(`millrace flexnbd ${mode.name}: ${why(error)}\n`);
    if (isUsageError(error)) context.stderr.write(modeHelp(mode));
    return 1;
  }
}

function help({ stdout }: Context, name: string | undefined): number {
  const mode = modes.find((each) => each.name === name);
  stdout.write(mode === undefined ? overview() : modeHelp(mode));
  return name === undefined || mode !== undefined ? 0 : 1;
}
