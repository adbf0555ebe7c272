/**
 * Becoming a daemon. Node cannot fork, so the program starts itself again in a session of its own and stays
 * until that child has said over a pipe that it listens, or has ended. The child is told by an environment
 * variable which descriptor the pipe is.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Context } from '../context.ts';

const readyVariable = 'MILLRACE_READY_FD';
const readyFd = 3;
const readyWord = 'ready\n';

/**
 * Starts the daemon and waits for it. `keepOutput`: the child shares standard output and error, otherwise they
 * lead to /dev/null. Resolves to undefined when it is ready, else to the reason why there is no daemon.
 */
export async function launchDaemon(context: Context, keepOutput: boolean): Promise<string | undefined> {
  const output = keepOutput ? 'inherit' : 'ignore';
  const [program = '', ...args] = context.self;
  const child = spawn(program, args, {
    cwd: context.cwd,
    env: { ...context.env, [readyVariable]: String(readyFd) },
    detached: true,
    stdio: ['ignore', output, output, 'pipe'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const said = await text(child.stdio[readyFd] as Readable);
  if (said === readyWord) {
    child.unref();
    return undefined;
  }
  const [status, signal] = await ended;
  return said.trim() || `the daemon ended before it listened (${signal ?? `status ${status}`})`;
}

/** The daemon's end of the pipe. */
export interface Launcher {
  /** Lets the launching process end with status 0. */
  ready(): void;
  /** Gives it the reason to end with status 1. */
  failed(reason: string): void;
}

/** The waiting process, when there is one: undefined unless this process was started by `launchDaemon`. */
export function findLauncher(env: Context['env']): Launcher | undefined {
  const fd = Number(env[readyVariable]);
  if (!Number.isInteger(fd) || fd !== readyFd) return undefined;
  const say = (word: string): void => {
    try {
      writeSync(fd, word);
      closeSync(fd);
    } catch {
      // Nobody waits any more: the daemon lives on without them.
    }
  };
  return { ready: () => say(readyWord), failed: (reason) => say(`${reason}\n`) };
}
