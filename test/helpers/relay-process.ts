/** `millrace relay` as a process of its own, for what happens to whole processes: signals, limits, full disks. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import type { RelayStatus } from '../../lib/index.ts';
import type { Address } from './peer.ts';

const program = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));

/** One line of its log. */
export interface Line {
  level: string;
  event: string;
  text: string;
  code?: string;
  facts: Record<string, unknown>;
}

export interface RelayProcessOptions {
  outputPath: string;
  /** Put before `node`: what runs it, such as a shell with a limit; the last one must exec its arguments. */
  wrapper?: readonly string[];
  args?: readonly string[];
}

let processes = 0;

/** See the file's head. */
export class RelayProcess {
  readonly pid: number;
  readonly lines: Line[] = [];
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  control: Address = { host: '127.0.0.1', port: 0 };
  data: Address = { host: '127.0.0.1', port: 0 };
  readonly #child;
  readonly #controlPath: string;
  #told: () => void = () => undefined;

  private constructor({ outputPath, wrapper = [], args = [] }: RelayProcessOptions) {
    const anyPort = 'tcp://127.0.0.1:0';
    const own = ['-o', outputPath, '-C', anyPort, '-D', anyPort, '-L', anyPort, '--log-format', 'json'];
    processes += 1;
    this.#controlPath = join(tmpdir(), `millrace-test-${process.pid}-${processes}.sock`);
    own.push('--control', this.#controlPath);
    const [command, ...rest] = [...wrapper, process.execPath, program, 'relay', ...own, ...args] as [string];
    this.#child = spawn(command, rest, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TZ: 'UTC', LTTNG_RELAYD_HEALTH: `${this.#controlPath}.health` },
    });
    this.pid = this.#child.pid ?? 0;
    createInterface(this.#child.stderr).on('line', (line) => {
      this.lines.push(line.startsWith('{') ? (JSON.parse(line) as Line) : plain(line));
      this.#told();
    });
    const closed = once(this.#child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    this.ended = closed.then(([code, signal]) => {
      this.#told();
      return { code, signal };
    });
  }

  /** Starts one and waits until it listens. Rejects with its words when it ends instead. */
  static async start(
    t: Pick<ExecutionContext, 'teardown'>,
    options: RelayProcessOptions,
  ): Promise<RelayProcess> {
    const relay = RelayProcess.launch(t, options);
    const { facts } = await relay.told(({ event }) => event === 'relay:listening');
    relay.control = address(facts.control);
    relay.data = address(facts.data);
    return relay;
  }

  /** Starts one that may end by itself. */
  static launch(t: Pick<ExecutionContext, 'teardown'>, options: RelayProcessOptions): RelayProcess {
    const relay = new RelayProcess(options);
    t.teardown(async () => {
      relay.kill('SIGKILL');
      await relay.ended;
      for (const path of [relay.#controlPath, `${relay.#controlPath}.health`]) rmSync(path, { force: true });
    });
    return relay;
  }

  /** The first line that is `wanted`, told already or later. */
  async told(wanted: (line: Line) => boolean): Promise<Line> {
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    for (;;) {
      const line = this.lines.find(wanted);
      if (line !== undefined) return line;
      if (over) throw new Error(`the relay ended: ${this.lines.map(({ text }) => text).join('\n')}`);
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
      await new Promise(setImmediate);
    }
  }

  /** What `millrace status --json` prints of it. */
  async status(): Promise<RelayStatus> {
    const { stdout } = await promisify(execFile)(process.execPath, [
      program,
      'status',
      '--json',
      this.#controlPath,
    ]);
    return JSON.parse(stdout) as RelayStatus;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

function address(fact: unknown): Address {
  const [host, port] = String(fact).split(':') as [string, string];
  return { host, port: Number(port) };
}

function plain(text: string): Line {
  return { level: 'error', event: 'plain', text, facts: {} };
}
