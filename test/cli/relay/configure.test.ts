import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Configured, configure } from '../../../cli/relay/configure.ts';
import { descriptorLimit, relayOptionsOf } from '../../../cli/relay/settings.ts';
import { fakeContext, temporary } from '../fake-context.ts';

interface Sources {
  argv?: string[];
  env?: Record<string, string>;
  system?: string;
  user?: string;
  /** Text of a file that --config names. */
  config?: string;
}

function configured(t: ExecutionContext, { argv = [], env = {}, ...files }: Sources): Configured {
  const home = temporary(t);
  mkdirSync(join(home, '.lttng'));
  const put = (name: string, text: string | undefined): string => {
    const path = join(home, name);
    if (text !== undefined) writeFileSync(path, text);
    return path;
  };
  put('.lttng/lttng.conf', files.user);
  const system = put('system.conf', files.system);
  const config = put('config', files.config);
  if (files.config !== undefined) argv.push(`--config=${config}`);
  const context = fakeContext(t, argv, { env: { LTTNG_HOME: home, ...env }, cwd: '/where/it/started' });
  return configure(context, system);
}

const settingsOf = (t: ExecutionContext, sources: Sources) => configured(t, sources).settings;
const usage = (message: RegExp) => ({ code: 'MR_ERR_USAGE', message });

test('without a word everything is as lttng-relayd has it', async (t) => {
  const { settings, warnings } = configured(t, { env: { LTTNG_HOME: '/home/her' } });
  t.deepEqual(warnings, []);
  const { limits, ...options } = await relayOptionsOf(settings);
  t.is(limits.closeSeconds, 10);
  t.deepEqual(options, {
    control: { host: '0.0.0.0', port: 5342 },
    data: { host: '0.0.0.0', port: 5343 },
    live: { host: '127.0.0.1', port: 5344 },
    outputPath: '/home/her/lttng-traces',
    groupOutputBy: 'host',
    disallowClear: false,
    fdPoolSize: descriptorLimit(),
    durability: 'none',
    syncIntervalMs: 1000,
    keepFreeBytes: 4_194_304,
    keepAlive: { enabled: false, idleTimeS: -1, probeIntervalS: -1, maxProbeCount: -1 },
    socketTimeoutMs: 0,
  });
});

test('HOME is the home where LTTNG_HOME is unset or empty', (t) => {
  const settings = settingsOf(t, { env: { LTTNG_HOME: '', HOME: '/home/him' } });
  t.is(settings.outputPath, '/home/him/lttng-traces');
});

test('every option has its effect', (t) => {
  const cases: ReadonlyArray<[argv: string[], key: string, value: unknown]> = [
    [['-b'], 'background', true],
    [['--background'], 'background', true],
    [['-d'], 'daemonize', true],
    [['-x'], 'disallowClear', true],
    [['--fd-pool-size=0x100'], 'fdPoolSize', 256],
    [['-g', 'wheel'], 'group', 'wheel'],
    [['-P', 'run/pid'], 'pidFilePath', '/where/it/started/run/pid'],
    [['-S'], 'sigParent', true],
    [['-w', 'sub'], 'workingDirectory', '/where/it/started/sub'],
    [['-o', '/out'], 'outputPath', '/out'],
    [['-p'], 'groupOutputBy', 'host'],
    [['-s'], 'groupOutputBy', 'session'],
    [['-C', 'tcp://127.0.0.1'], 'control', { family: 4, host: '127.0.0.1', port: 5342 }],
    [['-D', 'tcp6://[::1]'], 'data', { family: 6, host: '::1', port: 5343 }],
    [['-L', 'tcp://127.0.0.1:7'], 'live', { family: 4, host: '127.0.0.1', port: 7 }],
    [['--dynamic-port-allocation'], 'dynamicPorts', true],
    [['--sync', 'packet'], 'durability', 'packet'],
    [['--sync-interval=50'], 'syncIntervalMs', 50],
    [['--keep-free=64M'], 'keepFreeBytes', 67_108_864],
    [['--on-chunk', 'ls -l'], 'chunkCommand', 'ls -l'],
    [['-vv'], 'verbosity', 2],
    [['--log-format=json'], 'logFormat', 'json'],
    [['--control', '/run/it.sock'], 'controlSocketPath', '/run/it.sock'],
    [['-h'], 'instead', 'help'],
    [['-V', '-h'], 'instead', 'version'],
    [['--list-options'], 'instead', 'list-options'],
  ];
  for (const [argv, key, value] of cases) {
    const settings = settingsOf(t, { argv }) as unknown as Record<string, unknown>;
    t.deepEqual(settings[key], value, argv.join(' '));
  }
});

test('bad values are refused and name their option', (t) => {
  t.throws(() => settingsOf(t, { argv: ['-o', 'rel'] }), usage(/--output: "rel" is no absolute path/));
  t.throws(() => settingsOf(t, { argv: ['-C', 'udp://x'] }), usage(/--control-port: .*unknown protocol/));
  t.throws(() => settingsOf(t, { argv: ['--fd-pool-size=99'] }), usage(/--fd-pool-size: 99 is not between/));
  t.throws(() => settingsOf(t, { argv: ['--sync', 'now'] }), usage(/--sync: "now" is none of none, sync/));
  t.throws(
    () => settingsOf(t, { argv: ['--keep-free', '5%'] }),
    usage(/--keep-free: "5%" is no number of b/),
  );
  t.throws(() => settingsOf(t, { argv: ['-f', '/no/such'] }), usage(/--config: ENOENT/));
});

test('files and command line override one another in the documented order', (t) => {
  const system =
    '[relayd]\noutput=/system\ncontrol-port=tcp://127.0.0.1:1\nlive-port=tcp://127.0.0.1:1\ndata-port=tcp://127.0.0.1:1\n';
  const user =
    '[relayd]\ncontrol-port=tcp://127.0.0.1:2\nlive-port=tcp://127.0.0.1:2\ndata-port=tcp://127.0.0.1:2\n';
  const config = '[relayd]\ndata-port=tcp://127.0.0.1:3\nlive-port=tcp://127.0.0.1:3\n';
  const settings = settingsOf(t, { system, user, config, argv: ['-L', 'tcp://127.0.0.1:4'] });
  const { outputPath, control, data, live } = settings;
  t.deepEqual([outputPath, control.port, data.port, live.port], ['/system', 2, 3, 4]);
});

test('a file says no to what an earlier one enabled, the command line chooses another grouping', (t) => {
  const system = '[relayd]\ndisallow-clear=yes\ngroup-output-by-session=on\n';
  const settings = settingsOf(t, { system, user: '[relayd]\ndisallow-clear=no\n', argv: ['-p'] });
  t.deepEqual([settings.disallowClear, settings.groupOutputBy], [false, 'host']);
});

test('only the relayd section counts, comments and blanks do not', (t) => {
  const user =
    '# c\n; c\noutput=/none\n [relayd] ; here\n  output : /out ; there\r\n\n[other]\noutput=/other\n';
  const { settings, warnings } = configured(t, { user });
  t.is(settings.outputPath, '/out');
  t.deepEqual(warnings, []);
});

test('unknown keys, bad switches and bad lines cost a warning with file and line', (t) => {
  const { settings, warnings } = configured(t, {
    user: '[relayd]\nnosuch=1\ndisallow-clear=maybe\nnonsense\nhelp=yes\nversion=yes\nconfig=/x\n',
  });
  t.is(settings.disallowClear, undefined);
  t.is(settings.instead, undefined);
  t.is(warnings.length, 3);
  t.regex(warnings[0] ?? '', /lttng\.conf:4: neither/);
  t.regex(warnings[1] ?? '', /lttng\.conf:2: unknown key "nosuch"/);
  t.regex(warnings[2] ?? '', /lttng\.conf:3: disallow-clear: "maybe"/);
});

test('a bad value in a file is refused with file and line', (t) => {
  const user = '[relayd]\nfd-pool-size=5\n';
  t.throws(() => settingsOf(t, { user }), usage(/lttng\.conf:2: --fd-pool-size: 5 is not between/));
});

test('verbosity in a file is a level or a yes, and gives way to the command line', (t) => {
  t.is(settingsOf(t, { user: '[relayd]\nverbose=2\n' }).verbosity, 2);
  t.is(settingsOf(t, { user: '[relayd]\nverbose=yes\n' }).verbosity, 1);
  t.is(settingsOf(t, { user: '[relayd]\nverbose=2\n', argv: ['-v'] }).verbosity, 1);
});

test('--help needs no readable configuration', (t) => {
  t.is(settingsOf(t, { argv: ['-h', '-f', '/no/such'], user: '[relayd]\nfd-pool-size=5\n' }).instead, 'help');
});

test('environment: clearing is disallowed unless an option says otherwise', (t) => {
  const name = 'LTTNG_RELAYD_DISALLOW_CLEAR';
  t.true(settingsOf(t, { env: { [name]: 'YES' } }).disallowClear);
  t.false(settingsOf(t, { env: { [name]: '0' } }).disallowClear);
  t.true(settingsOf(t, { env: { [name]: '0' }, argv: ['-x'] }).disallowClear);
  t.throws(() => settingsOf(t, { env: { [name]: 'maybe' } }), usage(/neither yes nor no/));
});

test('environment: the working directory gives way to the option', (t) => {
  const env = { LTTNG_RELAYD_WORKING_DIRECTORY: '/env' };
  t.is(settingsOf(t, { env }).workingDirectory, '/env');
  t.is(settingsOf(t, { env, argv: ['-w', '/arg'] }).workingDirectory, '/arg');
});

test('environment: socket timeout and keep-alive, where 0 and -1 are the system values', (t) => {
  const all = {
    LTTNG_NETWORK_SOCKET_TIMEOUT: '2500',
    LTTNG_RELAYD_TCP_KEEP_ALIVE: '1',
    LTTNG_RELAYD_TCP_KEEP_ALIVE_IDLE_TIME: '30',
    LTTNG_RELAYD_TCP_KEEP_ALIVE_PROBE_INTERVAL: '-1',
    LTTNG_RELAYD_TCP_KEEP_ALIVE_MAX_PROBE_COUNT: '0',
  };
  const settings = settingsOf(t, { env: all });
  t.is(settings.socketTimeoutMs, 2500);
  t.deepEqual(settings.keepAlive, { enabled: true, idleTimeS: 30, probeIntervalS: -1, maxProbeCount: -1 });
  t.false(settingsOf(t, { env: { ...all, LTTNG_RELAYD_TCP_KEEP_ALIVE: 'off' } }).keepAlive.enabled);
});

test('environment: bad numbers are left out with a warning, as lttng-relayd goes on', (t) => {
  const { settings, warnings } = configured(t, {
    env: {
      LTTNG_NETWORK_SOCKET_TIMEOUT: 'abc',
      LTTNG_RELAYD_TCP_KEEP_ALIVE: 'bad',
    },
  });
  t.is(settings.socketTimeoutMs, 0);
  t.false(settings.keepAlive.enabled);
  t.is(warnings.length, 2);
});
