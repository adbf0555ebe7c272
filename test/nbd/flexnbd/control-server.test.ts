import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { askFlexnbd } from '../../../lib/nbd/flexnbd/control-client.ts';
import { type Run, serveFlexnbdControl } from '../../../lib/nbd/flexnbd/control-server.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';

async function serve(t: ExecutionContext, run: Run, commandSeconds = 60): Promise<string> {
  const path = join(temporaryDirectory(t), 'control');
  const server = await serveFlexnbdControl(path, run, { commandSeconds });
  t.teardown(() => server.close());
  return path;
}

const echo: Run = async (command) => ({ code: 0, text: JSON.stringify(command ?? 'nothing') });

/** What the server says until it ends the connection. */
async function rest(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  await once(socket, 'close');
  return text;
}

async function say(path: string, bytes: string, end = false): Promise<string> {
  const socket = connect({ path, allowHalfOpen: false });
  socket.on('error', () => undefined).write(bytes);
  if (end) socket.end();
  return rest(socket);
}

test('an empty line ends a command, so does the end of input; the answer ends the connection', async (t) => {
  const path = await serve(t, echo);
  const expected = '0: {"name":"acl","args":["::1"]}\n';
  t.is(await say(path, 'acl\n::1\n\n'), expected);
  t.is(await say(path, 'acl\n::1\n\nmore\n\n'), expected);
  t.is(await say(path, 'acl\n::1\n', true), expected);
  t.is(await say(path, 'acl\n::1', true), expected);
  t.is(await say(path, '\n'), '0: "nothing"\n');
  t.is(await say(path, '', true), '0: "nothing"\n');
  t.deepEqual(await askFlexnbd(path, 'acl', ['::1']), { code: 0, text: expected.slice(3, -1) });
});

test('commands wait for each other in order, break for nobody (L18)', async (t) => {
  const order: string[] = [];
  let release = (): void => undefined;
  const path = await serve(t, async (command) => {
    order.push(`begin ${command?.name}`);
    if (command?.name === 'mirror')
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    if (command?.name === 'break') release();
    order.push(`end ${command?.name}`);
    return { code: 0, text: '' };
  });
  const mirror = askFlexnbd(path, 'mirror');
  while (order.length === 0) await new Promise(setImmediate);
  const status = askFlexnbd(path, 'status');
  const typing = connect(path);
  t.teardown(() => typing.destroy());
  typing.write('half a comm');
  await askFlexnbd(path, 'break');
  await Promise.all([mirror, status]);
  t.deepEqual(order, [
    'begin mirror',
    'begin break',
    'end break',
    'end mirror',
    'begin status',
    'end status',
  ]);
});

test('a line that is too long, too many lines, and a command without end cost their connection alone', async (t) => {
  const path = await serve(t, echo, 0.2);
  t.is(await say(path, `${'x'.repeat(300)}\n\n`), '');
  t.is(await say(path, 'acl\n'.repeat(5000)), '');
  t.is(await say(path, 'stat'), '');
  t.is((await askFlexnbd(path, 'status')).code, 0);
});

test('a socket where nobody answers, or not as flexnbd, is an error', async (t) => {
  const path = join(temporaryDirectory(t), 'none');
  await t.throwsAsync(askFlexnbd(path, 'status'), { code: 'MR_ERR_CONTROL_SOCKET' });
});
