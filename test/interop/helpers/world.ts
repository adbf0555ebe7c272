/**
 * A world: private mounts (/run, /dev/shm), loopback network, processes and host name, so that several sets
 * of LTTng daemons run side by side on their standard ports. The world lives as long as its keeper, a shell
 * that reads from a pipe we hold: when we close it or die, the kernel ends every process of the world.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { Inmate } from './inmate.ts';
import { within } from './wait.ts';

/** What a command left behind. `status` is the exit code, or 128 + the number of the signal. */
export interface Finished {
  status: number;
  stdout: string;
  stderr: string;
}

export interface WorldOptions {
  /** Host name inside. */
  hostname?: string;
  /** Share the network of this world. */
  beside?: World;
}

const cableName = 'cable';
const commandDeadlineMs = 40_000;

export class World {
  readonly #keeper: ChildProcess;
  readonly #initPid: number;
  readonly #pidNamespace: string;

  private constructor(keeper: ChildProcess, initPid: number) {
    this.#keeper = keeper;
    this.#initPid = initPid;
    this.#pidNamespace = readlinkSync(`/proc/${initPid}/ns/pid`);
  }

  /** Opens a world that ends with the test. */
  static async open(
    t: Pick<ExecutionContext, 'teardown'>,
    { hostname = 'traced', beside }: WorldOptions = {},
  ): Promise<World> {
    const enter = beside === undefined ? [] : ['nsenter', '--target', String(beside.#initPid), '--net'];
    const own = ['--mount', '--pid', '--uts', ...(beside === undefined ? ['--net'] : [])];
    const script = [
      'set -e; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /dev/shm; mkdir /run/home',
      'ip link set lo up; hostname "$0"; echo "open"; read -r _ || true',
    ].join('; ');
    const command = [
      ...enter,
      'unshare',
      ...own,
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--propagation',
      'private',
    ];
    const keeper = spawn(command[0] as string, [...command.slice(1), 'bash', '-c', script, hostname], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, PATH: searchPath },
    });
    t.teardown(async () => {
      keeper.stdin.end();
      if (keeper.exitCode === null && keeper.signalCode === null) await once(keeper, 'exit');
    });
    await within('a world to open', once(keeper.stdout, 'data'));
    return new World(keeper, childOf(keeper.pid as number));
  }

  /** Runs a command to its end. `env` is added to the world's own small environment. */
  async run(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
    return new Promise((resolve, reject) => {
      execFile(
        'nsenter',
        this.#entry(command, args),
        {
          env: { ...insideEnvironment, ...env },
          timeout: commandDeadlineMs,
          maxBuffer: 1 << 28,
          encoding: 'utf8',
        },
        (error, stdout, stderr) => {
          if (error === null) resolve({ status: 0, stdout, stderr });
          else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr });
          else
            reject(
              new Error(`${command} ${args.join(' ')} did not end by itself: ${stderr}`, { cause: error }),
            );
        },
      );
    });
  }

  /** Starts a program that goes on running. */
  start(command: string, args: readonly string[], env: Record<string, string> = {}): Inmate {
    const child = spawn('nsenter', this.#entry(command, args), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...insideEnvironment, ...env },
    });
    return new Inmate(command, child);
  }

  /** Process ids, as seen from outside, of the world's processes with this name (at most 15 characters). */
  pidsOf(name: string): number[] {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => {
        try {
          return (
            readlinkSync(`/proc/${pid}/ns/pid`) === this.#pidNamespace &&
            readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name
          );
        } catch {
          return false; // it ended while we looked
        }
      });
  }

  /** Whether something listens on this TCP port, on IPv4. */
  listens(port: number): boolean {
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    return readFileSync(`/proc/${this.#initPid}/net/tcp`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some(([, local, , state]) => local?.endsWith(wanted) && state === '0A');
  }

  /** A cable between this world's network and another's. Returns the address of the other end. */
  async linkTo(other: World): Promise<string> {
    const [here, there] = ['10.99.0.2', '10.99.0.1'];
    const cable = ['type', 'veth', 'peer', 'name', cableName, 'netns', String(other.#initPid)];
    const made = spawn('ip', ['link', 'add', cableName, 'netns', String(this.#initPid), ...cable], {
      stdio: 'inherit',
      env: { ...process.env, PATH: searchPath },
    });
    const [status] = await once(made, 'exit');
    if (status !== 0) throw new Error(`no cable between two worlds: ip ended with ${status}`);
    for (const [world, address] of [
      [this, here],
      [other, there],
    ] as const) {
      await world.run('ip', ['address', 'add', `${address}/24`, 'dev', cableName]);
      await world.run('ip', ['link', 'set', cableName, 'up']);
    }
    return there;
  }

  /** Takes the world from the cable, without a word to anybody. */
  async vanish(): Promise<void> {
    await this.run('ip', ['link', 'set', cableName, 'down']);
  }

  /** Ends the world before its test does. */
  async close(): Promise<void> {
    this.#keeper.stdin?.end();
    if (this.#keeper.exitCode === null) await within('a world to close', once(this.#keeper, 'exit'));
  }

  #entry(command: string, args: readonly string[]): string[] {
    const spaces = ['--mount', '--net', '--pid', '--uts'];
    return [
      '--target',
      String(this.#initPid),
      ...spaces,
      'sh',
      '-c',
      'umask 022; exec "$0" "$@"',
      command,
      ...args,
    ];
  }
}

const searchPath = `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`;

const insideEnvironment = {
  PATH: searchPath,
  HOME: '/run/home',
  LTTNG_HOME: '/run/home',
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  LTTNG_UST_ALLOW_BLOCKING: '1',
};

/** The one child of a process that forked once. */
export function childOf(pid: number): number {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  if (!child) throw new Error(`process ${pid} has no child`);
  return Number(child);
}
