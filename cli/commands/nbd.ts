import type { Command, Context } from '../context.ts';
import { copy } from '../nbd/copy.ts';
import { info } from '../nbd/info.ts';
import { listen } from '../nbd/listen.ts';
import { mirror } from '../nbd/mirror.ts';
import { proxy } from '../nbd/proxy.ts';
import { read } from '../nbd/read.ts';
import { serve } from '../nbd/serve.ts';
import { write } from '../nbd/write.ts';
import { usageError } from '../usage.ts';

/** What can be done with disks: `millrace nbd MODE …`, one file a mode. */
export const nbdModes: readonly Command[] = [serve, listen, mirror, proxy, read, write, copy, info];

/** The disk side of the program. */
export const nbd: Command = {
  name: 'nbd',
  summary: 'serve, read, write and move disks over the network',
  help() {
    const width = Math.max(...nbdModes.map(({ name }) => name.length));
    const lines = nbdModes.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
    return `usage: millrace nbd MODE [OPTION]...\n       millrace nbd MODE --help\n\n${lines.join('')}\nExit status: 0 done, 1 failed, 2 wrong usage.\n`;
  },
  run,
};

async function run(context: Context): Promise<number> {
  const [name, ...argv] = context.argv;
  if (name === '--help' || name === '-h') {
    context.stdout.write(nbd.help());
    return 0;
  }
  const mode = nbdModes.find((each) => each.name === name);
  if (mode === undefined)
    throw usageError(name === undefined ? 'no mode, see millrace nbd --help' : `unknown mode ${name}`);
  return await mode.run({ ...context, argv });
}
