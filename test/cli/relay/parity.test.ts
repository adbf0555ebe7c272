/**
 * What the installed lttng-relayd takes and refuses, beside what we do. It runs in namespaces of its own, with
 * `--daemonize`: its first process ends when it listens, and the namespace ends with that process.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../../cli/main.ts';
import { fakeContext, temporary } from '../fake-context.ts';

interface Case {
  argv: readonly string[];
  env?: Record<string, string>;
  /** The user's lttng.conf. */
  file?: string;
  /** Exit status of lttng-relayd 2.13.9. */
  theirs: 0 | 1;
  /** Ours, where it is another one. */
  ours?: 0 | 1;
}

const cases: readonly Case[] = [
  { argv: [], theirs: 0 },
  { argv: ['junk', '-s', 'more'], theirs: 0 },
  { argv: ['--', '-s', '--nosuch'], theirs: 0 },
  { argv: ['-vvv'], theirs: 0 },
  { argv: ['--dis'], theirs: 0 },
  { argv: ['--disallow-clear=yes'], theirs: 1 },
  { argv: ['--nosuch'], theirs: 1 },
  { argv: ['-V', '--nosuch'], theirs: 1 },
  { argv: ['--gr', 'g'], theirs: 1 },
  { argv: ['--group'], theirs: 1 },
  { argv: ['-p', '-s'], theirs: 1 },
  { argv: ['-p', '-p'], theirs: 1 },
  { argv: ['-o', 'relative'], theirs: 1 },
  { argv: ['--fd-pool-size=100'], theirs: 0 },
  { argv: ['--fd-pool-size=0x100'], theirs: 0 },
  { argv: ['--fd-pool-size=0400'], theirs: 0 },
  { argv: ['--fd-pool-size=99'], theirs: 1 },
  { argv: ['--fd-pool-size=abc'], theirs: 1 },
  { argv: ['--fd-pool-size=99999999999'], theirs: 1 },
  { argv: ['--fd-pool-size=100x'], theirs: 0, ours: 1 },
  { argv: ['-C', 'TCP://127.0.0.1:6000'], theirs: 0 },
  { argv: ['-C', 'tcp4://127.0.0.1'], theirs: 0 },
  { argv: ['-C', 'net://127.0.0.1:6000'], theirs: 0 },
  { argv: ['-D', 'tcp6://[::1]:6000'], theirs: 0 },
  { argv: ['-L', 'tcp://127.0.0.1:6000/sub'], theirs: 0 },
  { argv: ['-C', ''], theirs: 1 },
  { argv: ['-C', 'udp://127.0.0.1'], theirs: 1 },
  { argv: ['-C', 'tcp://'], theirs: 1 },
  { argv: ['-C', 'tcp://:6000'], theirs: 1 },
  { argv: ['-C', 'tcp://127.0.0.1:65536'], theirs: 1 },
  { argv: ['-C', 'tcp://127.0.0.1:1:2'], theirs: 1 },
  { argv: ['-C', 'tcp://[::1]:6000'], theirs: 1 },
  { argv: ['-C', 'tcp6://::1:6000'], theirs: 1 },
  { argv: ['-C', 'tcp6://[::1'], theirs: 1 },
  { argv: ['-C', 'tcp6://127.0.0.1:6000'], theirs: 1 },
  { argv: ['-C', 'tcp://no.such.host.invalid'], theirs: 1 },
  { argv: ['-C', 'tcp://127.0.0.1:12ab'], theirs: 0, ours: 1 },
  { argv: ['-C', 'tcp://127.0.0.1:0'], theirs: 1, ours: 0 },
  { argv: ['--list-options'], theirs: 1, ours: 0 },
  { argv: ['--help'], theirs: 0 },
  { argv: ['--version'], theirs: 0 },
  { argv: [], env: { LTTNG_RELAYD_DISALLOW_CLEAR: 'maybe' }, theirs: 1 },
  { argv: [], env: { LTTNG_RELAYD_DISALLOW_CLEAR: '-1' }, theirs: 1 },
  { argv: [], env: { LTTNG_RELAYD_DISALLOW_CLEAR: '' }, theirs: 1 },
  { argv: ['-x'], env: { LTTNG_RELAYD_DISALLOW_CLEAR: 'maybe' }, theirs: 0 },
  { argv: [], env: { LTTNG_RELAYD_DISALLOW_CLEAR: 'YES' }, theirs: 0 },
  { argv: [], env: { LTTNG_RELAYD_TCP_KEEP_ALIVE: 'bad' }, theirs: 0 },
  { argv: [], env: { LTTNG_NETWORK_SOCKET_TIMEOUT: 'bad' }, theirs: 0 },
  { argv: [], file: '[relayd]\nnosuch=1\ndisallow-clear=maybe\n', theirs: 0 },
  { argv: [], file: '[relayd]\nhelp=yes\nversion=yes\nconfig=/x\n', theirs: 0 },
  { argv: [], file: '[relayd]\nnonsense\n', theirs: 0 },
  { argv: [], file: '[relayd]\nfd-pool-size=5\n', theirs: 1 },
  { argv: [], file: '[relayd]\noutput="/quoted"\n', theirs: 1 },
  { argv: [], file: '[relayd]\ngroup-output-by-session=yes\n', theirs: 0 },
  { argv: ['-p'], file: '[relayd]\ngroup-output-by-session=yes\n', theirs: 1, ours: 0 },
  { argv: [], file: '[relayd]\ncontrol-port=udp://x\n', theirs: 0, ours: 1 },
];

const namespaces = [
  '--mount',
  '--net',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--propagation',
  'private',
];
const prepare = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"';

function installed(home: string, argv: readonly string[], env: Record<string, string>): number | null {
  const inside = ['bash', '-c', prepare, 'sandbox', 'lttng-relayd', ...argv];
  return spawnSync('unshare', [...namespaces, ...inside], {
    env: { PATH: process.env.PATH, LTTNG_HOME: home, HOME: home, ...env },
    stdio: 'ignore',
  }).status;
}

function homeWith(t: ExecutionContext, file: string | undefined): string {
  const home = temporary(t);
  mkdirSync(join(home, '.lttng'));
  if (file !== undefined) writeFileSync(join(home, '.lttng', 'lttng.conf'), file);
  return home;
}

const version = spawnSync('lttng-relayd', ['--version'], { encoding: 'utf8' }).stdout?.trim();
const canIsolate = spawnSync('unshare', [...namespaces, 'true'], { stdio: 'ignore' }).status === 0;
const comparable = version?.startsWith('2.13.') === true && canIsolate;

for (const { argv, env = {}, file, theirs, ours = theirs } of cases) {
  const title = JSON.stringify([...argv, env, file ?? '']);

  test(`status ${ours} for ${title}`, async (t) => {
    const home = homeWith(t, file);
    // Listens nowhere: what is compared is what options do before that.
    const context = fakeContext(t, ['relay', ...argv], { env: { LTTNG_HOME: home, ...env } });
    context.createRelay = async (options) => ({
      start: async () => {
        setImmediate(() => context.signal('SIGTERM'));
      },
      addresses: options,
      close: async () => {},
      destroy: () => {},
      health: () => 0,
      status: () => t.fail() as never,
    });
    t.is(await main(context), ours, context.words('stderr'));
  });

  (comparable ? test.serial : test.serial.skip)(`lttng-relayd ${version}: ${theirs} for ${title}`, (t) => {
    const asked = argv.some((word) => ['--help', '--version', '--list-options'].includes(word));
    t.is(installed(homeWith(t, file), asked ? argv : ['-d', ...argv], env), theirs);
  });
}

(comparable ? test.serial : test.serial.skip)(
  `lttng-relayd ${version}: our options hold all of its own`,
  async (t) => {
    const page = spawnSync('man', ['lttng-relayd'], {
      encoding: 'utf8',
      env: { ...process.env, MANPAGER: 'cat' },
    });
    // Headings of the option list: seven blanks, perhaps the short name, the long name.
    const theirs = [...page.stdout.matchAll(/^ {7}(?:-\w(?: [A-Z]+)?, )?--([a-z-]+)/gm)].map(
      ([, name]) => name,
    );
    const context = fakeContext(t, ['relay', '--list-options']);
    await main(context);
    const ours = context.words('stdout').split('\n');
    t.true(theirs.length === 0 || theirs.length > 15, 'the manual page is there whole or not at all');
    t.deepEqual(
      theirs.filter((name) => name === undefined || !ours.includes(name)),
      [],
    );
  },
);
