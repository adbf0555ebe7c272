import { MillraceError, version, why } from '../lib/start.ts';
import type { Command, Context } from './context.ts';
import { isUsageError, usageError } from './usage.ts';

/** Every command of the program. A command loads what it needs when it is asked for: start-up is what users wait for. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  relay: async () => (await import('./commands/relay.ts')).relay,
  consume: async () => (await import('./commands/consume.ts')).consume,
  list: async () => (await import('./commands/list.ts')).list,
  view: async () => (await import('./commands/view.ts')).view,
  pipe: async () => (await import('./commands/pipe.ts')).pipe,
  capture: async () => (await import('./commands/capture.ts')).capture,
  replay: async () => (await import('./commands/replay.ts')).replay,
  nbd: async () => (await import('./commands/nbd.ts')).nbd,
  flexnbd: async () => (await import('./commands/flexnbd.ts')).flexnbd,
  status: async () => (await import('./commands/status.ts')).status,
  ctl: async () => (await import('./commands/ctl.ts')).ctl,
  verify: async () => (await import('./commands/verify.ts')).verify,
};

/** Runs the command that `context.argv` names. Resolves to the exit status, never rejects. */
export async function main(context: Context): Promise<number> {
  const [name, ...argv] = context.argv;
  if (name === '--help' || name === '-h' || name === 'help') {
    context.stdout.write(await overview());
    return 0;
  }
  if (name === '--version' || name === '-V') {
    context.stdout.write(`${version}\n`);
    return 0;
  }
  let command: Command | undefined;
  try {
    command = Object.hasOwn(commands, name ?? '') ? await commands[name ?? '']?.() : undefined;
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

async function overview(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map((load) => load()));
  const width = Math.max(...all.map(({ name }) => name.length));
  const lines = all.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `usage: millrace COMMAND [OPTION]...\n       millrace COMMAND --help\n       millrace --version\n\n${lines.join('')}\nExit status: 0 done, 1 failed, 2 wrong usage.\n`;
}
