/** `millrace flexnbd MODE` as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const program = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunningFlexnbd {
  child: ChildProcess;
  ended: Promise<Ended>;
  /** What it has said so far. */
  words(): string;
}

/** Starts one; it is killed when the test ends. `input`: what it gets on stdin. */
export function launch(
  t: Pick<ExecutionContext, 'teardown'>,
  args: readonly string[],
  options: { input?: Buffer; env?: Record<string, string>; command?: string } = {},
): RunningFlexnbd {
  const { input, env = {}, command = 'flexnbd' } = options;
  const child = spawn(process.execPath, [program, command, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  child.stdin.on('error', () => undefined).end(input);
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout,
    stderr,
  }));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended, words: () => stderr };
}

/** Resolves when the control socket is there, which says that the server is ready; rejects when it ends before. */
export async function ready(running: RunningFlexnbd, sock: string): Promise<void> {
  let over: Ended | undefined;
  void running.ended.then((how) => {
    over = how;
  });
  while (!existsSync(sock)) {
    if (over !== undefined) throw new Error(`it ended with ${over.code}: ${over.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Runs one to its end. */
export function run(
  t: Pick<ExecutionContext, 'teardown'>,
  args: readonly string[],
  options: Parameters<typeof launch>[2] = {},
): Promise<Ended> {
  return launch(t, args, options).ended;
}
