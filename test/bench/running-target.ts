/** A relay as a process with a directory of its own, and where on the machine it runs. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { now } from './measure.ts';
import type { Ports, Target } from './targets.ts';

/** With two cores or more the relay has the first for itself, and the generator runs on the second. */
const pinnable = spawnSync('taskset', ['-c', '1', 'true']).status === 0;

/** `argv` as spawn needs it, on core `core` where cores can be chosen. taskset execs: the pid is the program's. */
export function onCore(core: 0 | 1 | 'any', argv: readonly string[]): [string, string[]] {
  const [program, ...rest] = pinnable && core !== 'any' ? ['taskset', '-c', String(core), ...argv] : argv;
  return [program as string, rest];
}

/** Says how the processes are placed. */
export function placement(): string {
  return pinnable ? 'relay on core 0, generator on core 1' : 'cores not chosen';
}

async function freePorts(): Promise<Ports> {
  const servers = [0, 1, 2].map(() => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const [control, data, live] = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return { control, data, live } as Ports;
}

const startSeconds = 10;
const connectPollMs = 1;

/** What to end and remove if the bench itself has to end early. */
const alive = new Set<RunningTarget>();
process.on('exit', () => {
  for (const target of alive) target.destroy();
});

/** A relay that runs. Whoever started it calls `stop`, then `destroy`. */
export class RunningTarget {
  readonly pid: number;
  readonly ports: Ports;
  readonly output: string;
  /** From the spawn until the control port took a connection. */
  readonly startSeconds: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ports: Ports, output: string, started: number) {
    this.#child = child;
    this.pid = child.pid as number;
    this.ports = ports;
    this.output = output;
    this.startSeconds = started;
    alive.add(this);
  }

  /** `parent`: directory in which the output directory is made. Rejects when it does not listen in time. */
  static async start(target: Target, parent: string, core: 0 | 'any' = 0): Promise<RunningTarget> {
    const output = mkdtempSync(join(parent, 'millrace-bench-'));
    const ports = await freePorts();
    const begin = now();
    const [program, rest] = onCore(core, target.argv(ports, output));
    const child = spawn(program, rest, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LTTNG_HOME: output, NODE_OPTIONS: '' },
    });
    let words = '';
    child.stderr.on('data', (bytes) => {
      words += bytes;
    });
    for (;;) {
      if (await accepts(ports.control)) break;
      if (child.exitCode !== null || now() - begin > startSeconds) {
        child.kill('SIGKILL');
        rmSync(output, { recursive: true });
        throw new Error(`${target.name} does not listen: ${words.trim()}`);
      }
      await delay(connectPollMs);
    }
    const started = now() - begin;
    while (!(await accepts(ports.data))) await delay(connectPollMs);
    return new RunningTarget(child, ports, output, started);
  }

  /** Ends the relay and waits until it is gone; its output stays. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const giveUp = setTimeout(() => this.#child.kill('SIGKILL'), startSeconds * 1000);
    await exit;
    clearTimeout(giveUp);
  }

  /** Ends it at once if it still runs, and removes what it stored. */
  destroy(): void {
    alive.delete(this);
    this.#child.kill('SIGKILL');
    rmSync(this.output, { recursive: true, force: true });
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
