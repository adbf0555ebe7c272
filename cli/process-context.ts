import { loadRelay } from '../lib/start.ts';
import type { Context } from './context.ts';

/** The outside of this very process, and the relay that it runs. */
export function processContext(): Context {
  const { argv, env, pid, ppid, stdout, stderr } = process;
  const [program = '', script = '', ...args] = argv;
  // A reader that went away costs the words, not the process.
  for (const stream of [stdout, stderr]) stream.on('error', () => {});
  return {
    argv: args,
    self: [program, ...process.execArgv, script, ...args],
    env,
    cwd: process.cwd(),
    stdin: () => process.stdin,
    stdout,
    isTerminal: stdout.isTTY === true,
    stderr,
    stderrIsTerminal: stderr.isTTY === true,
    pid,
    ppid,
    uid: process.getuid?.() ?? -1,
    chdir: (path) => process.chdir(path),
    kill: (target, signal) => process.kill(target, signal),
    onSignal: (signal, listener) => {
      process.on(signal, listener);
      return () => process.off(signal, listener);
    },
    createRelay: async (options) => (await loadRelay()).createRelay(options),
  };
}
