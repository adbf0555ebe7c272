import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { ExecutionContext } from 'ava';
import type { Context } from '../../cli/context.ts';
import { type FakeRelay, fakeRelay } from './fake-relay.ts';

export interface FakeContext extends Context {
  stdin(): PassThrough;
  stdout: PassThrough;
  stderr: PassThrough;
  /** Directories gone to, processes signalled. */
  did: string[];
  /** Delivers a signal, as the kernel would. */
  signal(name: NodeJS.Signals): void;
  /** The relay once it was made. */
  relay(): FakeRelay;
  /** Resolves when the parent was signalled, which option -S asks for. */
  isReady(): Promise<void>;
  /** Resolves when stderr has said this. */
  said(words: string): Promise<void>;
  /** All that was said so far. */
  words(stream: 'stdout' | 'stderr'): string;
}

/** Ports that the system chooses, for all three listeners. */
export const anyPorts = [
  '-C',
  'tcp://127.0.0.1:0',
  '-D',
  'tcp://127.0.0.1:0',
  '-L',
  'tcp://127.0.0.1:0',
] as const;

/** A directory that goes when the test ends. */
export function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A world of its own for one command: home in a temporary directory, no process-wide effect. */
export function fakeContext(
  t: ExecutionContext,
  argv: readonly string[],
  changes: Partial<Pick<Context, 'env' | 'cwd' | 'uid' | 'pid' | 'isTerminal' | 'stderrIsTerminal'>> & {
    closing?: Promise<void>;
  } = {},
): FakeContext {
  const home = temporary(t);
  const signals = new EventEmitter();
  const said = { stdout: '', stderr: '' };
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() };
  for (const name of ['stdout', 'stderr'] as const)
    streams[name].on('data', (bytes: Buffer) => {
      said[name] += bytes.toString();
    });
  const did: string[] = [];
  let made: FakeRelay | undefined;
  const { closing, ...rest } = changes;
  const stdin = new PassThrough();
  return {
    argv,
    self: [],
    env: { LTTNG_HOME: home },
    cwd: home,
    stdin: () => stdin,
    ...streams,
    isTerminal: false,
    stderrIsTerminal: false,
    pid: 4711,
    ppid: 4710,
    uid: 1000,
    chdir: (path) => void did.push(`chdir ${path}`),
    kill: (pid, signal) => {
      did.push(`kill ${pid} ${signal}`);
      signals.emit('ready');
    },
    onSignal: (signal, listener) => {
      signals.on(signal, listener);
      return () => signals.off(signal, listener);
    },
    createRelay: (options) => {
      made = fakeRelay(options, closing);
      return Promise.resolve(made);
    },
    did,
    signal: (name) => {
      if (!signals.emit(name)) did.push(`died of ${name}`);
    },
    relay: () => {
      if (made === undefined) throw new Error('no relay was made');
      return made;
    },
    isReady: async () => {
      if (did.length === 0) await once(signals, 'ready');
    },
    said: async (words) => {
      while (!said.stderr.includes(words)) await once(streams.stderr, 'data');
    },
    words: (stream) => said[stream],
    ...rest,
  };
}
