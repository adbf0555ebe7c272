/** The health socket of the program, and that of the installed lttng-relayd, each in namespaces of its own. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { main } from '../../../cli/main.ts';
import { findGroupId } from '../../../cli/relay/run-folder.ts';
import { anyPorts, fakeContext, temporary } from '../fake-context.ts';

async function check(path: string): Promise<Buffer> {
  const socket = connect(path);
  socket.write(Buffer.alloc(4));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  await once(socket, 'close');
  return answer;
}

test('it lies in the run folder, open to the user alone, and is gone at the end; the folder stays', async (t) => {
  const context = fakeContext(t, ['relay', ...anyPorts, '-S']);
  const ended = main(context);
  await context.isReady();
  const folder = join(context.cwd, '.lttng', 'relayd');
  for (const each of [folder, join(context.cwd, '.lttng')]) t.is(statSync(each).mode & 0o777, 0o700);
  t.is(statSync(join(folder, 'health-4711')).mode & 0o777, 0o777 & ~process.umask());
  t.deepEqual(await check(join(folder, 'health-4711')), Buffer.alloc(8));
  context.signal('SIGTERM');
  t.is(await ended, 0);
  t.deepEqual(readdirSync(folder), []);
});

test('LTTNG_RELAYD_HEALTH puts it elsewhere, where it must succeed', async (t) => {
  const path = join(temporary(t), 'health');
  const env = { LTTNG_HOME: temporary(t), LTTNG_RELAYD_HEALTH: path };
  const context = fakeContext(t, ['relay', ...anyPorts, '-S'], { env });
  const ended = main(context);
  await context.isReady();
  t.deepEqual(await check(path), Buffer.alloc(8));
  context.signal('SIGTERM');
  t.is(await ended, 0);
  t.false(existsSync(path));

  const refused = fakeContext(t, ['relay', ...anyPorts], {
    env: { ...env, LTTNG_RELAYD_HEALTH: '/no/such/health' },
  });
  t.is(await main(refused), 1);
  t.regex(refused.words('stderr'), /cannot listen on \/no\/such\/health: ENOENT/);
  t.deepEqual(refused.relay().calls, ['start', 'close']);
});

test('where the run folder cannot be made, a warning says so and the relay runs', async (t) => {
  const home = temporary(t);
  writeFileSync(join(home, '.lttng'), 'in the way');
  const context = fakeContext(t, ['relay', ...anyPorts, '-S'], { env: { LTTNG_HOME: home } });
  const ended = main(context);
  await context.isReady();
  t.regex(context.words('stderr'), /warn {2}cli:no-health-socket: there is no health socket: .*ENOTDIR/);
  context.signal('SIGTERM');
  t.is(await ended, 0);
});

test('a group is found by its name, and one that is not there is none', (t) => {
  const groups = join(temporary(t), 'group');
  writeFileSync(groups, 'root:x:0:\n\n# tracing:x:9:\ntracing:x:106:alice,bob\ntracing-x:x:107:\nodd:x:y:\n');
  t.is(findGroupId('tracing', groups), 106);
  for (const name of ['alice', 'odd', '', 'nosuch']) t.is(findGroupId(name, groups), undefined);
  t.is(findGroupId('tracing', '/no/such/file'), undefined);
});

const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
const canIsolate =
  process.getuid?.() === 0 && spawnSync('unshare', [...namespaces, 'true'], { stdio: 'ignore' }).status === 0;

/** Starts a relay, shows its folders and socket without their dates, asks once, ends it, and looks again. */
const script = `
mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up && cd /run && umask 022
printf 'root:x:0:\\ntracing:x:106:\\n' > /run/group && mount --bind /run/group /etc/group
"$@" -o /run/out > /dev/null 2>&1 &
pid=$!
until [ -S /run/lttng/relayd/health-$pid ]; do sleep 0.02; done
show() { stat -c '%A %U %g %n' /run/lttng /run/lttng/relayd /run/lttng/relayd/health-* 2>&1 | sed "s/health-$pid/health-PID/"; }
show
HEALTH=/run/lttng/relayd/health-$pid ${process.execPath} -e '
const socket = require("node:net").connect(process.env.HEALTH);
socket.write(Buffer.alloc(4));
socket.on("data", (bytes) => console.log(bytes.toString("hex"))).on("close", () => console.log("closed"));
'
kill $pid && wait $pid
echo "status $?"
show
`;

function shown(t: { log(text: string): void }, home: string, ...program: string[]): string {
  const { stdout, stderr } = spawnSync(
    'unshare',
    [...namespaces, 'bash', '-c', script, 'sandbox', ...program],
    {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: home, LTTNG_HOME: home, LC_ALL: 'C' },
    },
  );
  if (stderr !== '') t.log(stderr);
  // The control socket is ours alone.
  return stdout.replace(/^.*millrace-.*\n/gm, '');
}

const expected = `drwxr-xr-x root 106 /run/lttng
drwxr-xr-x root 106 /run/lttng/relayd
srw-rw---- root 106 /run/lttng/relayd/health-PID
0000000000000000
closed
status 0
drwxr-xr-x root 106 /run/lttng
drwxr-xr-x root 106 /run/lttng/relayd
stat: cannot statx '/run/lttng/relayd/health-*': No such file or directory
`;

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));

(canIsolate ? test.serial : test.serial.skip)('of root: folders, modes, group, answer and end', (t) => {
  const home = temporary(t);
  mkdirSync(join(home, '.lttng'));
  t.is(shown(t, home, process.execPath, bin, 'relay'), expected);
});

const isInstalled = spawnSync('lttng-relayd', ['--version']).status === 0;

(canIsolate && isInstalled ? test.serial : test.serial.skip)('lttng-relayd does the same', (t) => {
  t.is(shown(t, temporary(t), 'lttng-relayd'), expected);
});
