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
  let command: Command | undefined;
  try {
    if (name === '--help' || name === '-h' || name === 'help') {
      context.stdout.write(await overview());
      return arrived(context, 0);
    }
    if (name === '--version' || name === '-V') {
      context.stdout.write(`${version}\n`);
      return arrived(context, 0);
    }
    command = Object.hasOwn(commands, name ?? '') ? await commands[name ?? '']?.() : undefined;
    if (command === undefined)
      throw usageError(name === undefined ? 'no command, see millrace --help' : `unknown command ${name}`);
    return arrived(context, await command.run({ ...context, argv }));
  } catch (error) {
    const of = command === undefined ? '' : ` ${command.name}`;
    context.stderr.write(`millrace${of}: ${why(error)}\n`);
    if (error instanceof MillraceError && error.advice !== undefined)
      context.stderr.write(`millrace${of}: ${error.advice}\n`);
    return isUsageError(error) ? (command?.usageStatus ?? 2) : 1;
  }
}

/** The status of a command whose output has arrived. Throws what became of output that was not: a reader may leave, a disk may not fill up. */
function arrived({ stdout }: Context, status: number): number {
  const error = stdout.errored as NodeJS.ErrnoException | null;
  if (status === 0 && error !== null && error.code !== 'EPIPE')
    throw new Error(`standard output: ${error.message}`, { cause: error });
  return status;
}

async function overview(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map((load) => load()));
  const width = Math.max(...all.map(({ name }) => name.length));
  const lines = all.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `usage: millrace COMMAND [OPTION]...\n       millrace COMMAND --help\n       millrace --version\n\n${lines.join('')}\nExit status: 0 done, 1 failed, 2 wrong usage.\n`;
}
