/** Real NBD programs: run to their end, or as servers for a test. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { missingPrograms, peersRequired } from './peers.ts';

/** A test that needs these programs: skipped with a line, or failed, where one is missing. */
export function withPrograms(
  programs: readonly string[],
  title: string,
  run: (t: ExecutionContext) => Promise<void>,
  options: { root?: boolean } = {},
): void {
  const missing = missingPrograms(programs, options);
  if (missing === undefined) test(title, run);
  else if (peersRequired()) test(title, (t) => t.fail(missing));
  else test.skip(`${title} (skipped: ${missing})`, () => {});
}

/** What a program said; `status` is its exit status. */
export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. Its failure is not an error here. */
export async function ran(program: string, ...args: readonly string[]): Promise<Ran> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, {
      maxBuffer: 64 * 1024 * 1024,
      // nbdsh is run by the python3 that the system's packages belong to
      env: { ...process.env, LC_ALL: 'C', PATH: `/usr/bin:/bin:${process.env.PATH}:/usr/sbin:/sbin` },
    });
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

/** Runs a program that must succeed, and returns what it printed. */
export async function must(
  t: ExecutionContext,
  program: string,
  ...args: readonly string[]
): Promise<string> {
  const { status, stdout, stderr } = await ran(program, ...args);
  t.is(status, 0, `${program} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** Whether somebody listens on that Unix socket: it is there before that, and some servers would count a client that only looks. */
function isListening(socket: string): boolean {
  const acceptsConnections = '00010000';
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .some((line) => line.endsWith(` ${socket}`) && line.split(' ')[3] === acceptsConnections);
}

/** Whether the server that makes `sign` is ready: a Unix socket is listened on; any other file, a pid file say, is there. */
function isReady(sign: string): boolean {
  const found = statSync(sign, { throwIfNoEntry: false });
  return found !== undefined && (!found.isSocket() || isListening(sign));
}

/** Starts a server and waits until it is ready: until its Unix socket `sign` listens, or its pid file `sign` is there. It is killed when the test ends. */
export async function server(
  t: ExecutionContext,
  sign: string,
  program: string,
  ...args: readonly string[]
): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.on('data', (bytes: Buffer) => {
    words += bytes.toString();
  });
  let isOver = false;
  const ended = once(child, 'close').then(() => {
    isOver = true;
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  while (!isReady(sign)) {
    if (isOver) throw new Error(`${program} ended: ${words}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
