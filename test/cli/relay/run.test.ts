import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { main } from '../../../cli/main.ts';
import { anyPorts, fakeContext, temporary } from '../fake-context.ts';

const listening = 'listening: control';

test('the first SIGTERM or SIGINT ends the relay orderly with status 0', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const context = fakeContext(t, ['relay', ...anyPorts]);
    const ended = main(context);
    await context.said(listening);
    context.signal(signal);
    t.is(await ended, 0);
    t.deepEqual(context.relay().calls, ['start', 'close']);
    context.signal(signal);
    t.deepEqual(context.did, [`died of ${signal}`], 'signals have their default effect back');
  }
});

test('the second signal ends it now, with 128 and the number of the signal', async (t) => {
  const closing = new Promise<void>(() => {});
  const context = fakeContext(t, ['relay', ...anyPorts, '-S'], { closing });
  const ended = main(context);
  await context.isReady();
  context.signal('SIGINT');
  context.signal('SIGTERM');
  t.is(await ended, 143);
  t.deepEqual(context.relay().calls, ['start', 'close', 'destroy']);
});

test('SIGPIPE and SIGUSR1 have no effect', async (t) => {
  const context = fakeContext(t, ['relay', ...anyPorts]);
  const ended = main(context);
  await context.said(listening);
  context.signal('SIGPIPE');
  context.signal('SIGUSR1');
  context.signal('SIGTERM');
  t.is(await ended, 0);
  t.deepEqual(context.did, []);
});

test('a taken port costs status 1, and the reason and what to do about it are told', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  t.teardown(() => holder.close());
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  const context = fakeContext(t, ['relay', ...anyPorts, '-D', `tcp://127.0.0.1:${port}`]);
  t.is(await main(context), 1);
  t.regex(context.words('stderr'), new RegExp(`cannot listen on 127.0.0.1:${port}: .*EADDRINUSE`));
  t.regex(context.words('stderr'), /choose another port/);
});

test('a working directory that is missing costs status 1, before anything listens', async (t) => {
  const context = fakeContext(t, ['relay', ...anyPorts, '-w', '/no/such']);
  context.chdir = () => {
    throw Object.assign(new Error('no such file or directory'), { code: 'ENOENT' });
  };
  t.is(await main(context), 1);
  t.regex(context.words('stderr'), /--working-directory: ENOENT/);
  t.throws(() => context.relay());
});

test('the working directory is left alone unless one is named', async (t) => {
  for (const [argv, did] of [
    [[], []],
    [['-w', '/some'], ['chdir /some']],
  ] as const) {
    const context = fakeContext(t, ['relay', ...anyPorts, ...argv]);
    const ended = main(context);
    await context.said(listening);
    t.deepEqual(context.did, did);
    context.signal('SIGTERM');
    await ended;
  }
});

test('the pid file holds the process id while the relay listens', async (t) => {
  const path = join(temporary(t), 'pid');
  const context = fakeContext(t, ['relay', ...anyPorts, '-P', path, '-S']);
  const ended = main(context);
  await context.said(listening);
  await context.isReady();
  t.is(readFileSync(path, 'utf8'), '4711\n');
  t.deepEqual(context.did, ['kill 4710 SIGUSR1'], 'the parent is told once it is written');
  context.signal('SIGTERM');
  t.is(await ended, 0);
  t.false(existsSync(path));
});

test('a pid file that cannot be written costs status 1 and closes the relay', async (t) => {
  const context = fakeContext(t, ['relay', ...anyPorts, '-P', '/no/such/pid']);
  t.is(await main(context), 1);
  t.regex(context.words('stderr'), /cannot create \/no\/such\/pid: ENOENT/);
  t.deepEqual(context.relay().calls, ['start', 'close']);
});

test('--dynamic-port-allocation writes the ports to the run folder', async (t) => {
  const context = fakeContext(t, ['relay', ...anyPorts, '--dynamic-port-allocation', '-S']);
  const ended = main(context);
  await context.said(listening);
  await context.isReady();
  const folder = join(context.cwd, '.lttng', 'relayd');
  const { addresses } = context.relay();
  for (const role of ['control', 'data', 'live'] as const)
    t.is(readFileSync(join(folder, `${role}.port`), 'utf8'), `${addresses[role].port}\n`);
  context.signal('SIGTERM');
  await ended;
  t.false(existsSync(join(folder, 'control.port')));
});

test('warnings about settings go to the log, and the relay runs', async (t) => {
  const context = fakeContext(t, ['relay', ...anyPorts, '--log-format=json'], {
    env: { LTTNG_HOME: temporary(t), LTTNG_RELAYD_TCP_KEEP_ALIVE: 'maybe' },
  });
  const ended = main(context);
  await context.said(listening);
  context.signal('SIGTERM');
  t.is(await ended, 0);
  const [first = ''] = context.words('stderr').split('\n');
  const { level, event } = JSON.parse(first) as Record<string, unknown>;
  t.deepEqual([level, event], ['warn', 'cli:settings']);
});

test('wrong usage costs status 1 for the relay, 2 for the program', async (t) => {
  const relay = fakeContext(t, ['relay', '--nosuch']);
  t.is(await main(relay), 1);
  t.is(relay.words('stderr'), 'millrace relay: unknown option --nosuch\n');
  t.is(await main(fakeContext(t, ['nosuch'])), 2);
  t.is(await main(fakeContext(t, [])), 2);
});

test('operands of the relay are ignored', async (t) => {
  const context = fakeContext(t, ['relay', 'junk', ...anyPorts, '--', '--nosuch']);
  const ended = main(context);
  await context.said(listening);
  context.signal('SIGTERM');
  t.is(await ended, 0);
});

test('help, version and list of options go to stdout with status 0', async (t) => {
  const answer = async (...argv: string[]): Promise<string> => {
    const context = fakeContext(t, argv);
    t.is(await main(context), 0, argv.join(' '));
    t.is(context.words('stderr'), '');
    return context.words('stdout');
  };
  const packageJson = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  t.is(await answer('--version'), `${packageJson.version}\n`);
  t.is(await answer('relay', '-V'), `${packageJson.version}\n`);
  t.regex(await answer('--help'), /relay +run the relay daemon/);
  t.regex(await answer('relay', '--help'), /-C URL, --control-port=URL/);
  t.regex(await answer('relay', '--list-options'), /^background\nconfig\ndaemonize\n/);
});

test('a configuration file of its own is taken from the command line', async (t) => {
  const path = join(temporary(t), 'relay.conf');
  writeFileSync(path, '[relayd]\noutput=/configured\n');
  const context = fakeContext(t, ['relay', ...anyPorts, '-f', path]);
  const ended = main(context);
  await context.said(listening);
  t.is(context.relay().options.outputPath, '/configured');
  context.signal('SIGTERM');
  t.is(await ended, 0, 'lttng-relayd 2.13.9 ends with 1 here');
});
