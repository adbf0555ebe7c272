import { MillraceError, version, why } from '../lib/index.ts';
import { capture } from './commands/capture.ts';
import { consume } from './commands/consume.ts';
import { ctl } from './commands/ctl.ts';
import { flexnbd } from './commands/flexnbd.ts';
import { list } from './commands/list.ts';
import { nbd } from './commands/nbd.ts';
import { pipe } from './commands/pipe.ts';
import { relay } from './commands/relay.ts';
import { replay } from './commands/replay.ts';
import { status } from './commands/status.ts';
import { verify } from './commands/verify.ts';
import { view } from './commands/view.ts';
import type { Command, Context } from './context.ts';
import { isUsageError, usageError } from './usage.ts';

/** Every command of the program. */
export const commands: readonly Command[] = [
  relay,
  consume,
  list,
  view,
  pipe,
  capture,
  replay,
  nbd,
  flexnbd,
  status,
  ctl,
  verify,
];

/** Runs the command that `context.argv` names. Resolves to the exit status, never rejects. */
export async function main(context: Context): Promise<number> {
  const [name, ...argv] = context.argv;
  if (name === '--help' || name === '-h' || name === 'help') {
    context.stdout.write(overview());
    return 0;
  }
  if (name === '--version' || name === '-V') {
    context.stdout.write(`${version}\n`);
    return 0;
  }
  const command = commands.find((each) => each.name === name);
  try {
    if (command === undefined)
      throw usageError(name === undefined ? 'no command, see millrace --help' : `unknown command ${name}`);
    return await command.run({ ...context, argv });
  } catch (error) {
    const of = command === undefined ? '' : ` ${command.name}`;
    context.stderr.write(`millrace${of}: ${why(error)}\n`);
    if (error instanceof MillraceError && error.advice !== undefined)
      context.stderr.write(`millrace${of}: ${error.advice}\n`);
    return isUsageError(error) ? (command?.usageStatus ?? 2) : 1;
  }
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `usage: millrace COMMAND [OPTION]...\n       millrace COMMAND --help\n       millrace --version\n\n${lines.join('')}\nExit status: 0 done, 1 failed, 2 wrong usage.\n`;
}
