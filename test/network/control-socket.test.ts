import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { limits } from '../../lib/limits.ts';
import { askControl, type ControlCommands, serveControl } from '../../lib/network/control-socket.ts';

function place(t: ExecutionContext): { directory: string; path: string } {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-control-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return { directory, path: join(directory, 'control') };
}

async function served(t: ExecutionContext, commands: ControlCommands): Promise<string> {
  const { path } = place(t);
  const server = await serveControl(path, commands);
  t.teardown(() => server.close());
  return path;
}

/** All that comes back for these bytes, as text. */
async function converse(path: string, sent: string): Promise<string> {
  const socket = connect(path);
  socket.end(sent);
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return text;
}

test('each line gets one line of JSON, in order, however long a command takes', async (t) => {
  const path = await served(t, {
    slow: async () => {
      for (let i = 0; i < 10; i += 1) await new Promise(setImmediate);
      return 'slow';
    },
    add: (args) => ({ sum: args.reduce((sum, each) => sum + Number(each), 0) }),
    nothing: () => undefined,
    big: () => ({ packets: 2n ** 60n }),
  });
  t.is(
    await converse(path, 'slow\nadd 1 2  3\r\nnothing\nbig'),
    '"slow"\n{"sum":6}\nnull\n{"packets":"1152921504606846976"}\n',
  );
});

test('a failed or unknown command is answered with an error, and the connection goes on', async (t) => {
  const path = await served(t, {
    bad: () => {
      throw new Error('not today');
    },
    coded: () => {
      throw new MillraceError('MR_ERR_USAGE', { why: 'no' });
    },
    good: () => 1,
  });
  const lines = (await converse(path, 'bad\ncoded\ntoString\ngood\n')).trim().split('\n');
  t.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      { error: { code: 'MR_ERR_CONTROL_COMMAND', message: 'not today' } },
      { error: { code: 'MR_ERR_USAGE', message: 'no' } },
      {
        error: {
          code: 'MR_ERR_CONTROL_COMMAND',
          message: 'control socket: toString: unknown command; there are: bad, coded, good',
        },
      },
      1,
    ],
  );
});

test('askControl gives the answer, or the error that the command gave', async (t) => {
  const path = await served(t, { echo: (args) => args, fail: () => Promise.reject(new Error('broken')) });
  t.deepEqual(await askControl(path, 'echo a b'), ['a', 'b']);
  const error = await t.throwsAsync(askControl(path, 'fail'));
  t.like(error, { code: 'MR_ERR_CONTROL_COMMAND' });
  t.regex(error?.message ?? '', /fail: broken/);
});

test('askControl fails where nobody serves, and when it is called off', async (t) => {
  const { path } = place(t);
  await t.throwsAsync(askControl(path, 'status'), { code: 'MR_ERR_CONTROL_SOCKET', message: /ENOENT/ });
  const asked = new Promise<void>((resolve) => {
    void serveControl(path, {
      hang: () => {
        resolve();
        return new Promise(() => undefined);
      },
    }).then((server) => t.teardown(() => server.close()), t.fail);
  });
  const controller = new AbortController();
  while (readdirSync(join(path, '..')).join() !== 'control') await new Promise(setImmediate);
  const hanging = askControl(path, 'hang', { signal: controller.signal });
  await asked;
  const reason = new Error('enough');
  controller.abort(reason);
  t.is(await t.throwsAsync(hanging), reason);
});

test('a line that is too long ends its connection, and only that', async (t) => {
  const path = await served(t, { good: () => 1 });
  t.is(await converse(path, 'x'.repeat(limits.controlLineBytes + 1)), '');
  t.is(await askControl(path, 'good'), 1);
});

test('only its user may use the socket, and nothing else is left beside it', async (t) => {
  const { directory, path } = place(t);
  const server = await serveControl(path, {});
  t.is(statSync(path).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(directory), ['control']);
  await server.close();
  t.deepEqual(readdirSync(directory), []);
});

test('close cuts who is connected', async (t) => {
  const { path } = place(t);
  const server = await serveControl(path, { hello: () => 1 });
  const socket = connect(path);
  socket.write('hello\n');
  await once(socket, 'data');
  await Promise.all([once(socket, 'close'), server.close()]);
  t.pass();
});

test('a living server keeps its socket, a file is left alone, a dead one’s socket is replaced', async (t) => {
  const { directory, path } = place(t);
  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  await t.throwsAsync(serveControl(file, {}), { code: 'MR_ERR_CONTROL_SOCKET', message: /something else/ });

  const child = fork(new URL('control-child.js', import.meta.url), [path]);
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'message');
  await t.throwsAsync(serveControl(path, {}), { code: 'MR_ERR_CONTROL_SOCKET', message: /living/ });
  t.is(await askControl(path, 'who'), 'child');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.true(statSync(path).isSocket());
  const server = await serveControl(path, { who: () => 'heir' });
  t.is(await askControl(path, 'who'), 'heir');
  await server.close();
});

test('a path that no socket can have is an error, and leaves nothing behind', async (t) => {
  const { directory } = place(t);
  await t.throwsAsync(serveControl(join(directory, 'x'.repeat(120)), {}), {
    code: 'MR_ERR_CONTROL_SOCKET',
    message: /too long/,
  });
  await t.throwsAsync(serveControl(join(directory, 'none', 'x'), {}), { code: 'MR_ERR_CONTROL_SOCKET' });
  t.deepEqual(readdirSync(directory), []);
});
