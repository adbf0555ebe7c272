import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../cli/main.ts';
import { anyPorts, type FakeContext, fakeContext, temporary } from './fake-context.ts';

/** A relay that runs, and its end. */
async function running(
  t: ExecutionContext,
  argv: readonly string[],
  changes: Parameters<typeof fakeContext>[2] = {},
): Promise<{ context: FakeContext; ended: Promise<number> }> {
  const context = fakeContext(t, ['relay', ...anyPorts, '-S', ...argv], changes);
  const ended = main(context);
  await context.isReady();
  t.teardown(() => {
    context.signal('SIGTERM');
    return ended;
  });
  return { context, ended };
}

async function said(t: ExecutionContext, argv: readonly string[], home?: string): Promise<string> {
  const env = home === undefined ? {} : { env: { LTTNG_HOME: home } };
  const context = fakeContext(t, argv, env);
  t.is(await main(context), 0, context.words('stderr'));
  return context.words('stdout');
}

test('a relay has a private control socket in its run folder, until it ends', async (t) => {
  const { context, ended } = await running(t, []);
  const path = join(context.cwd, '.lttng', 'relayd', 'millrace-4711.sock');
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(context.cwd, '.lttng', 'relayd')).mode & 0o777, 0o700);
  context.signal('SIGTERM');
  t.is(await ended, 0);
  t.false(existsSync(path));
});

test('--control puts the socket elsewhere, and one that cannot be made costs status 1', async (t) => {
  const path = join(temporary(t), 'ctl');
  const { context } = await running(t, ['--control', path]);
  t.true(statSync(path).isSocket());
  t.deepEqual(readdirSync(join(context.cwd, '.lttng', 'relayd')), ['health-4711']);
  const second = fakeContext(t, ['relay', ...anyPorts, '--control', path]);
  t.is(await main(second), 1);
  t.regex(second.words('stderr'), /control socket .*ctl: a living process serves it/);
  t.deepEqual(second.relay().calls, ['start', 'close']);
});

test('without a run folder the relay runs without control socket, and says so', async (t) => {
  const { context } = await running(t, [], { env: { LTTNG_HOME: '/proc/no/such' } });
  t.regex(context.words('stderr'), /cli:no-control-socket/);
});

test('status finds the one relay that runs', async (t) => {
  const { context } = await running(t, []);
  t.regex(await said(t, ['status', '-i', '10'], context.cwd), /^millrace 0\.1\.0, pid 42, /);
  const json = JSON.parse(await said(t, ['status', '--json'], context.cwd)) as Record<string, unknown>;
  t.deepEqual(json.addresses, context.relay().addresses);
});

test('status of none or of several is refused with a reason', async (t) => {
  const lonely = fakeContext(t, ['status']);
  t.is(await main(lonely), 1);
  t.regex(lonely.words('stderr'), /no relay answers here/);

  const env = { LTTNG_HOME: temporary(t) };
  await running(t, [], { env });
  await running(t, [], { env, pid: 4712 });
  const torn = fakeContext(t, ['status'], { env });
  t.is(await main(torn), 2);
  t.regex(torn.words('stderr'), /several relays run, name one: .*4711\.sock, .*4712\.sock/);
});

test('--watch looks again and again until a signal, in place on a terminal', async (t) => {
  const path = join(temporary(t), 'ctl');
  await running(t, ['--control', path]);
  for (const isTerminal of [true, false]) {
    const context = fakeContext(t, ['status', '--watch', '--interval=10', path], { isTerminal });
    const ended = main(context);
    while (context.words('stdout').split('millrace 0.1.0').length < 4)
      await new Promise((resolve) => context.stdout.once('data', resolve));
    context.signal('SIGINT');
    t.is(await ended, 0);
    t.is(context.words('stdout').includes('\x1b[H\x1b[J'), isTerminal);
    t.regex(context.words('stdout'), /packets \(0\/s\)/);
  }
});

test('ctl sends a command and prints its answer', async (t) => {
  const path = join(temporary(t), 'ctl');
  const { context } = await running(t, ['--control', path]);
  const sessions = JSON.parse(await said(t, ['ctl', path, 'sessions'])) as Array<Record<string, unknown>>;
  t.deepEqual(
    sessions.map(({ name, streams }) => ({ name, streams })),
    [{ name: 's1', streams: 2 }],
  );
  const status = JSON.parse(await said(t, ['ctl', '--json', path, 'status'])) as Record<string, unknown>;
  t.is(status.outputPath, context.relay().options.outputPath);
  t.deepEqual(Object.keys(JSON.parse(await said(t, ['ctl', path, 'help'])) as object).sort(), [
    'help',
    'log-level',
    'sessions',
    'status',
    'stop',
  ]);
});

test('ctl log-level shows and sets the level of the log', async (t) => {
  const path = join(temporary(t), 'ctl');
  await running(t, ['--control', path]);
  t.is(await said(t, ['ctl', path, 'log-level']), 'info\n');
  t.is(await said(t, ['ctl', path, 'log-level', 'trace']), 'trace\n');
  t.is(await said(t, ['ctl', path, 'log-level']), 'trace\n');
  const wrong = fakeContext(t, ['ctl', path, 'log-level', 'loud']);
  t.is(await main(wrong), 1);
  t.regex(wrong.words('stderr'), /"loud" is none of trace, debug, info, warn, error/);
});

test('ctl stop ends the relay orderly', async (t) => {
  const path = join(temporary(t), 'ctl');
  const { ended, context } = await running(t, ['--control', path]);
  t.is(await said(t, ['ctl', path, 'stop']), 'stopping\n');
  t.is(await ended, 0);
  t.deepEqual(context.relay().calls, ['start', 'close']);
});

test('ctl refuses wrong usage with 2, and an unknown command or a dead socket with 1', async (t) => {
  const path = join(temporary(t), 'ctl');
  await running(t, ['--control', path]);
  const cases: ReadonlyArray<[argv: string[], status: number, words: RegExp]> = [
    [['ctl', path], 2, /PATH and COMMAND/],
    [['ctl', path, 'log-level', 'a b'], 2, /"a b" is not one word/],
    [['ctl', path, 'nosuch'], 1, /unknown command; there are: help/],
    [['ctl', '/no/such', 'status'], 1, /control socket \/no\/such: .*ENOENT/],
    [['status', 'a', 'b'], 2, /more than one PATH/],
  ];
  for (const [argv, status, words] of cases) {
    const context = fakeContext(t, argv);
    t.is(await main(context), status, argv.join(' '));
    t.regex(context.words('stderr'), words);
  }
});

test('each command has a help page', async (t) => {
  t.regex(await said(t, ['status', '--help']), /^usage: millrace status/);
  t.regex(await said(t, ['ctl', '--help']), /^usage: millrace ctl/);
});
