import { fstatSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { loadRelay } from '../lib/start.ts';
import type { Context } from './context.ts';

/** The outside of this very process, and the relay that it runs. */
export function processContext(): Context {
  const { argv, env, pid, ppid, stderr } = process;
  const stdout = standardOutput();
  const [program = '', script = '', ...args] = argv;
  // A reader that went away costs the words, not the process; main looks for other failures.
  for (const stream of [stdout, stderr]) stream.on('error', () => {});
  return {
    argv: args,
    self: [program, ...process.execArgv, script, ...args],
    env,
    cwd: process.cwd(),
    stdin: () => process.stdin,
    stdout,
    isTerminal: process.stdout.isTTY === true,
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

/** Standard output; to a file one that writes all of a chunk or fails: Node's own takes half of one for the whole. */
function standardOutput(): Writable {
  const { fd } = process.stdout;
  if (!isFile(fd)) return process.stdout;
  const file = new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      try {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      } catch (error) {
        done(error as Error);
        return;
      }
      done();
    },
  });
  return Object.assign(file, { fd });
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false; // it was closed before we began
  }
}
