/** `millrace nbd serve` as a process of its own, for what happens to whole processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { NbdServerStatus } from '../../lib/nbd/server/status.ts';
import { askControl } from '../../lib/network/control-socket.ts';
import { temporaryDirectory } from './disk.ts';

export const program = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));

/** Makes a sparse file of `sizeBytes` with `data` at the offsets given, and returns its path. */
export function imageFile(
  t: { teardown(run: () => void): void },
  sizeBytes: number,
  data: readonly (readonly [offset: number, bytes: Buffer])[] = [],
): string {
  const path = join(temporaryDirectory(t), 'image');
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  for (const [offset, bytes] of data) writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
  return path;
}

export interface NbdProcessOptions {
  /** Behind `nbd serve`; a free port of the loopback address, a control socket and a JSON log are added. */
  args: readonly string[];
  /** Put before `node`. */
  wrapper?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Descriptors beyond the standard ones. */
  inherit?: readonly number[];
  /** Leave the address to `args`. */
  anywhere?: boolean;
}

/** See the file's head. */
export class NbdProcess {
  readonly child: ChildProcess;
  readonly controlPath: string;
  readonly lines: string[] = [];
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #said: () => void = () => undefined;

  constructor(t: ExecutionContext, { anywhere, args, env, inherit = [], wrapper = [] }: NbdProcessOptions) {
    this.controlPath = join(temporaryDirectory(t), 'control');
    const own = ['--control', this.controlPath, '--log-format', 'json', '-v'];
    if (anywhere !== true) own.push('-a', '127.0.0.1', '-p', '0');
    const [command, ...rest] = [...wrapper, process.execPath, program, 'nbd', 'serve', ...own, ...args] as [
      string,
    ];
    this.child = spawn(command, rest, {
      stdio: ['ignore', 'ignore', 'pipe', ...inherit],
      env: { ...process.env, ...env },
    });
    const { stderr } = this.child;
    if (stderr === null) throw new Error('no stderr');
    createInterface(stderr).on('line', (line) => {
      this.lines.push(line);
      this.#said();
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
    t.teardown(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
      rmSync(this.controlPath, { force: true });
    });
  }

  /** A server that is ready. */
  static async start(t: ExecutionContext, options: NbdProcessOptions): Promise<NbdProcess> {
    const started = new NbdProcess(t, options);
    await started.ready();
    return started;
  }

  /** Resolves when its control socket answers; rejects when it ends before. */
  async ready(): Promise<void> {
    let isOver = false;
    void this.ended.then(() => {
      isOver = true;
    });
    while ((await this.status().catch(() => undefined)) === undefined) {
      if (isOver) throw new Error(`it ended: ${this.lines.join(' ')}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async status(): Promise<NbdServerStatus> {
    return (await this.ask('status')) as NbdServerStatus;
  }

  ask(line: string): Promise<unknown> {
    return askControl(this.controlPath, line);
  }

  /** The TCP port of its first address. */
  async port(): Promise<number> {
    const [address = ''] = (await this.status()).addresses;
    return Number(address.split(':').at(-1));
  }

  /** Resolves when its log has a line that matches. */
  async says(pattern: RegExp): Promise<void> {
    while (!this.lines.some((line) => pattern.test(line)))
      await new Promise<void>((resolve) => {
        this.#said = resolve;
      });
  }

  /** Most memory it ever had, MiB. */
  peakMiB(): number {
    const text = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(text)?.[1]) / 1024;
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.child.pid}/fd`).length;
  }

  /** Resolves when it has so few descriptors again: connections to its control socket take a moment to go. */
  async hasDescriptors(count: number): Promise<void> {
    while (this.descriptors() > count) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return (await this.ended).code;
  }
}
