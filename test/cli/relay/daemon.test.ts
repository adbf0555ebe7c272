import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { canReceive, receiveDatagrams } from '../../helpers/datagrams.ts';
import { anyPorts, temporary } from '../fake-context.ts';

const program = fileURLToPath(new URL('../fake-bin.js', import.meta.url));

interface Started {
  child: ChildProcess;
  home: string;
  /** Resolves to exit status and what was said once the process has ended. */
  end: Promise<{ status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
}

function start(t: ExecutionContext, ...argv: string[]): Started {
  return startWith(t, {}, ...argv);
}

function startWith(t: ExecutionContext, env: Record<string, string>, ...argv: string[]): Started {
  const home = temporary(t);
  const child = spawn(process.execPath, [program, 'relay', ...anyPorts, '--control=ctl', ...argv], {
    cwd: home,
    env: { ...process.env, LTTNG_HOME: home, LTTNG_RELAYD_HEALTH: 'health', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => void child.kill('SIGKILL'));
  const unread = () => '';
  const words = Promise.all([text(child.stdout).catch(unread), text(child.stderr).catch(unread)]);
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const end = exit.then(async ([status, signal]) => {
    const [stdout, stderr] = await words;
    return { status, signal, stdout, stderr };
  });
  return { child, home, end };
}

/** Process group and session leader, from fields 5 and 6 of /proc/PID/stat (proc(5)), and its state. */
function processOf(pid: number): { group: number; session: number } | undefined {
  try {
    const [state, , group, session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return state === 'Z' ? undefined : { group: Number(group), session: Number(session) };
  } catch {
    return undefined;
  }
}

async function gone(pid: number): Promise<void> {
  while (processOf(pid) !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
}

function pidIn(t: ExecutionContext, path: string): number {
  const pid = Number(readFileSync(path, 'utf8'));
  t.teardown(() => {
    if (processOf(pid) !== undefined) process.kill(pid, 'SIGKILL');
  });
  return pid;
}

test('-d returns 0 once the daemon listens, in a session of its own, in /, without streams', async (t) => {
  const { end, home, child } = start(t, '-d', '-P', 'pid');
  const { status, stdout, stderr } = await end;
  t.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  const pid = pidIn(t, join(home, 'pid'));
  t.not(pid, child.pid);
  t.deepEqual(processOf(pid), { group: pid, session: pid });
  t.is(readlinkSync(`/proc/${pid}/cwd`), '/');
  for (const fd of [0, 1, 2]) t.is(readlinkSync(`/proc/${pid}/fd/${fd}`), '/dev/null');
  process.kill(pid, 'SIGTERM');
  await gone(pid);
});

test('-b keeps output and error, and -w is where the daemon is', async (t) => {
  const directory = temporary(t);
  const { child, end, home } = start(t, '-b', '-P', 'pid', '-w', directory);
  const [status] = (await once(child, 'exit')) as [number];
  t.is(status, 0);
  const pid = pidIn(t, join(home, 'pid'));
  t.is(readlinkSync(`/proc/${pid}/cwd`), directory);
  t.is(readlinkSync(`/proc/${pid}/fd/0`), '/dev/null');
  process.kill(pid, 'SIGTERM');
  await gone(pid);
  t.regex((await end).stderr, /listening: control/);
});

test('a daemon that cannot start gives its reason and status 1 to the command', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  t.teardown(() => holder.close());
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  for (const how of ['-d', '-b']) {
    const { end } = start(t, how, '-C', `tcp://127.0.0.1:${port}`);
    const { status, stderr } = await end;
    t.is(status, 1);
    t.regex(stderr, /^millrace: cannot listen on .*EADDRINUSE/, how);
  }
});

test('a bad option is told before there is a daemon', async (t) => {
  const { status, stderr } = await start(t, '-d', '--nosuch').end;
  t.deepEqual({ status, stderr }, { status: 1, stderr: 'millrace relay: unknown option --nosuch\n' });
});

test('in the foreground SIGTERM ends with 0, SIGUSR1 and SIGPIPE do nothing, SIGHUP kills', async (t) => {
  for (const [signal, status] of [
    ['SIGTERM', 0],
    ['SIGHUP', null],
  ] as const) {
    const { child, end } = start(t);
    while (!(await once(child.stderr as NodeJS.ReadableStream, 'data')).toString().includes('listening'));
    child.kill('SIGUSR1');
    child.kill('SIGPIPE');
    child.kill(signal);
    const ended = await end;
    t.deepEqual([ended.status, ended.signal], [status, status === null ? signal : null]);
    t.notRegex(ended.stderr, /Debugger/);
  }
});

test('a reader of stderr that goes away does not end the relay', async (t) => {
  const { child } = start(t, '-v');
  while (!(await once(child.stderr as NodeJS.ReadableStream, 'data')).toString().includes('listening'));
  (child.stderr as unknown as { destroy(): void }).destroy();
  child.kill('SIGTERM');
  t.deepEqual(await once(child, 'exit'), [0, null]);
});

test('with -d -S and -b -S the command signals its own parent, and nobody signals the command', async (t) => {
  // The parent is a shell that says what it hears; Node would say something of a debugger.
  const parent =
    'trap "echo heard" USR1; "$@" & wait $!; while kill -0 $! 2>&-; do wait $!; done; echo status $?';
  for (const how of ['-d', '-b']) {
    const home = temporary(t);
    const command = [
      process.execPath,
      program,
      'relay',
      ...anyPorts,
      '--control=ctl',
      how,
      '-S',
      '-P',
      'pid',
    ];
    const shell = spawn('bash', ['-c', parent, 'parent', ...command], {
      cwd: home,
      env: { ...process.env, LTTNG_HOME: home, LTTNG_RELAYD_HEALTH: 'health' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.teardown(() => void shell.kill('SIGKILL'));
    const words = Promise.all([text(shell.stdout), text(shell.stderr)]);
    await once(shell, 'exit');
    const pid = pidIn(t, join(home, 'pid'));
    process.kill(pid, 'SIGTERM');
    await gone(pid);
    const [stdout, stderr] = await words;
    t.is(stdout, 'heard\nstatus 0\n', how);
    t.notRegex(stderr, /[Dd]ebugger/);
  }
});

(canReceive ? test : test.skip)(
  'a service manager is told when all ports accept, and when the end begins',
  async (t) => {
    for (const how of [[], ['-d']]) {
      const name = `@millrace-daemon-${process.pid}`;
      const next = await receiveDatagrams(t, `${name}${how.join('')}`);
      const env = { NOTIFY_SOCKET: `${name}${how.join('')}` };
      const { home } = startWith(t, env, ...how, '-P', 'pid');
      const ready = await next();
      const pid = pidIn(t, join(home, 'pid'));
      t.is(ready, `READY=1 MAINPID=${pid}`);
      process.kill(pid, 'SIGTERM');
      t.is(await next(), 'STOPPING=1');
      await gone(pid);
    }
  },
);

test('a service manager that cannot be told costs a warning', async (t) => {
  const { child, end } = startWith(t, { NOTIFY_SOCKET: '/no/such/socket' });
  while (
    !(await once(child.stderr as NodeJS.ReadableStream, 'data')).toString().includes('not told READY=1')
  );
  child.kill('SIGTERM');
  const { status, stderr } = await end;
  t.is(status, 0);
  t.regex(stderr, /the service manager was not told READY=1: \/no\/such\/socket: ENOENT/);
});
