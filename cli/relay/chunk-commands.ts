/** The command of `--on-chunk`: run for each complete trace chunk, a few at a time, the rest in a queue. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import split2 from 'split2';
import { type CompleteChunk, limits, tell, why } from '../../lib/index.ts';
import type { Context } from '../context.ts';

const event = 'cli:on-chunk';

/** See the file's head. What the commands write goes to the log line by line, and so does how they end. */
export class ChunkCommands {
  readonly #command: string;
  readonly #env: Context['env'];
  #waiting: CompleteChunk[] = [];
  readonly #running = new Map<ChildProcess, CompleteChunk>();
  #onIdle: () => void = () => {};

  /** `command` is for `sh -c`; `env`: what it finds in its environment besides the chunk. */
  constructor(command: string, env: Context['env']) {
    this.#command = command;
    // Neither the service manager nor the launcher is to hear from a command.
    this.#env = { ...env, NOTIFY_SOCKET: undefined, MILLRACE_READY_FD: undefined };
  }

  /** Runs the command for `chunk`, at once or when others have ended. Never throws. */
  run(chunk: CompleteChunk): void {
    if (this.#waiting.length === limits.chunkCommandQueue)
      tellNotRun(chunk, `${limits.chunkCommandQueue} chunks wait already`);
    else this.#waiting.push(chunk);
    this.#next();
  }

  /** Resolves when no command runs and no chunk waits for one. */
  async idle(): Promise<void> {
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Sends SIGTERM to what runs, and forgets what waits. */
  stop(): void {
    for (const chunk of this.#waiting) tellNotRun(chunk, 'the relay has ended');
    this.#waiting = [];
    for (const [{ pid }, { path }] of this.#running) {
      tell('error', event, `${path}: the command is cut: the relay has ended`, { path });
      if (pid !== undefined) killGroup(pid);
    }
  }

  #next(): void {
    while (this.#running.size < limits.chunkCommands) {
      const chunk = this.#waiting.shift();
      if (chunk === undefined) break;
      try {
        this.#start(chunk);
      } catch (error) {
        tellNotRun(chunk, why(error));
      }
    }
    if (this.#running.size === 0) this.#onIdle();
  }

  #start(chunk: CompleteChunk): void {
    const { path } = chunk;
    const startedMs = Date.now();
    // A process group of its own: Ctrl-C on the relay's terminal is for the relay, which then waits for commands.
    const child: ChildProcess = spawn('/bin/sh', ['-c', this.#command], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...this.#env,
        MILLRACE_CHUNK_PATH: path,
        MILLRACE_CHUNK_ID: String(chunk.id),
        MILLRACE_SESSION: chunk.sessionName,
        MILLRACE_HOSTNAME: chunk.hostname,
      },
    });
    this.#running.set(child, chunk);
    // There is no output where there were no descriptors for it, and then no 'close' either.
    for (const output of [child.stdout, child.stderr]) if (output) tellLines(output, path);
    child.once('error', (error) => {
      tellNotRun(chunk, why(error));
      this.#running.delete(child);
      this.#next();
    });
    child.once('close', (status, signal) => {
      if (!this.#running.delete(child)) return;
      const how = signal ?? `status ${status}`;
      const seconds = (Date.now() - startedMs) / 1000;
      const text = `${path}: the command has ended: ${how}`;
      tell(status === 0 ? 'info' : 'warn', event, text, { path, how, seconds });
      this.#next();
    });
  }
}

function tellLines(output: Readable, path: string): void {
  const lines = split2({ maxLength: limits.chunkCommandLineBytes });
  lines.on('data', (line: string) => tell('info', event, line, { path }));
  lines.on('error', (error) => {
    tell('warn', event, `${path}: the rest of the output is not shown: ${why(error)}`, { path });
    // Read on, or the command would wait for ever.
    output.resume();
  });
  output.pipe(lines);
}

function tellNotRun(chunk: CompleteChunk, reason: string): void {
  const { path } = chunk;
  tell('error', event, `${path}: the command was not run: ${reason}`, { path });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGTERM');
  } catch {
    // It has just ended by itself.
  }
}
