/** NBD servers that serve one image over loopback TCP, each as its users start it, none making every write durable. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface NbdTarget {
  name: string;
  /** Program that must be there; undefined: ours. */
  needs: string | undefined;
  /** Command line; `folder` is for files of its own. */
  command(image: string, port: number, folder: string): readonly string[];
  /** Name of the export. */
  exportName: string;
  /** It goes into the background, and its id into this file of its folder; its CPU time is that of its clients' processes. */
  pidFile?: string;
}

const program = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));

const millrace = (name: string, ...options: string[]): NbdTarget => ({
  name,
  needs: undefined,
  exportName: '',
  command: (image, port) =>
    words(`${process.execPath} ${program} nbd serve -a 127.0.0.1`, '-p', String(port), ...options, image),
});

/** A command line: fixed words, then others as they are. */
function words(fixed: string, ...more: readonly string[]): string[] {
  return [...fixed.split(' '), ...more];
}

export const nbdTargets: readonly NbdTarget[] = [
  millrace('millrace'),
  {
    name: 'nbdkit',
    needs: 'nbdkit',
    exportName: '',
    command: (image, port) => ['nbdkit', '-f', '-i', '127.0.0.1', '-p', String(port), 'file', image],
  },
  {
    name: 'qemu-nbd',
    needs: 'qemu-nbd',
    exportName: '',
    command: (image, port) =>
      words('qemu-nbd -t -e 16 -b 127.0.0.1 -f raw --cache=writeback', '-p', String(port), image),
  },
  {
    name: 'nbd-server',
    needs: 'nbd-server',
    exportName: 'disk',
    pidFile: 'nbd-server.pid',
    command(image, port, folder) {
      const config = `${folder}/nbd-server.conf`;
      const disk = `[disk]\nexportname=${image}\nflush=true\nfua=true\n`;
      writeFileSync(config, `[generic]\nlistenaddr=127.0.0.1\nport=${port}\n${disk}`);
      return ['nbd-server', '-C', config, '-p', `${folder}/nbd-server.pid`];
    },
  },
];

/** A server at work. */
export interface RunningServer {
  uri: string;
  pid: number;
  stop(): Promise<void>;
}

/** Starts a target and resolves when it accepts connections. */
export async function startServer(
  target: NbdTarget,
  image: string,
  port: number,
  folder: string,
): Promise<RunningServer> {
  const [command = '', ...args] = target.command(image, port, folder);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'close');
  await accepting(port, () => child.exitCode !== null && child.exitCode > 0);
  const { pidFile } = target;
  const pid = pidFile === undefined ? (child.pid ?? 0) : Number(readFileSync(`${folder}/${pidFile}`, 'utf8'));
  process.once('exit', () => kill(pid, 'SIGKILL'));
  return {
    uri: `nbd://127.0.0.1:${port}/${target.exportName}`,
    pid,
    async stop() {
      kill(pid, 'SIGTERM');
      const timer = setTimeout(() => kill(pid, 'SIGKILL'), 3000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** It may be gone already. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function accepting(port: number, hasFailed: () => boolean): Promise<void> {
  for (;;) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (accepted) return;
    if (hasFailed()) throw new Error('it ended before it listened');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A free port of the loopback address, for servers that cannot choose one. */
export async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
