/** `millrace nbd serve` inside this process. Numbers in titles are those of nbd-migration, E. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { main } from '../../../cli/main.ts';
import { askControl } from '../../../lib/network/control-socket.ts';
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { freePort } from '../../helpers/free-port.ts';
import { testListener } from '../../helpers/listener.ts';
import { Peer } from '../../helpers/peer.ts';
import { test } from '../../helpers/serial.ts';
import { fakeContext } from '../fake-context.ts';

const greetingBytes = 18;

test('L4: the moment the control socket is there the port answers, two hundred times; at the end it goes first', async (t) => {
  const folder = temporaryDirectory(t);
  const [image, sock] = [join(folder, 'disk'), join(folder, 'sock')];
  writeFileSync(image, Buffer.alloc(4096));
  for (let run = 0; run < 200; run += 1) {
    const port = await freePort();
    const context = fakeContext(t, ['nbd', 'serve', '-a', '127.0.0.1', '-p', `${port}`, '-s', sock, image]);
    const ended = main(context);
    while (!existsSync(sock)) await new Promise(setImmediate);
    const peer = Peer.of(connect({ host: '127.0.0.1', port }));
    t.is((await peer.read(greetingBytes)).length, greetingBytes);
    t.is(((await askControl(sock, 'status')) as { clients: unknown[] }).clients.length, 1);
    context.signal('SIGTERM');
    t.is(await ended, 0);
    t.false(existsSync(sock));
    await peer.destroy();
  }
});

test('several exports: mirror says which one moves, the others are served on, and with the last one the server ends', async (t) => {
  const folder = temporaryDirectory(t);
  const sock = join(folder, 'sock');
  const size = 256 * 1024;
  const paths = ['a disk', 'b'].map((name, n) => {
    writeFileSync(join(folder, name), pattern(size, n));
    return join(folder, name);
  });
  const operands = [`a disk=${paths[0]}`, `b=${paths[1]}`];
  const server = fakeContext(t, ['nbd', 'serve', '-a', '127.0.0.1', '-p', '0', '-s', sock, ...operands]);
  const ended = main(server);
  while (!existsSync(sock)) await new Promise(setImmediate);
  const mirror = async (to: { port: number }, ...args: string[]) => {
    const context = fakeContext(t, ['nbd', 'mirror', '--wait', ...args, sock, `nbd://127.0.0.1:${to.port}`]);
    return { code: await main(context).catch(() => 2), said: context.words('stderr') };
  };
  const to = [await testListener(t, size), await testListener(t, size)] as const;
  const unsaid = await mirror(to[0].address);
  t.not(unsaid.code, 0);
  t.regex(unsaid.said, /export=NAME is needed, of "a disk", "b"/);
  t.is((await mirror(to[0].address, '--unlink', '--export', 'a disk')).code, 0);
  await to[0].listener.completed;
  t.true(to[0].bytes().equals(pattern(size, 0)));
  t.false(existsSync(paths[0] as string));
  const status = (await askControl(sock, 'status')) as { exports: Array<{ name: string }> };
  t.deepEqual(
    status.exports.map(({ name }) => name),
    ['b'],
  );
  const moved = (await askControl(sock, 'mirror-status')) as Record<string, { state: string }>;
  t.deepEqual([moved['a disk']?.state, moved.b?.state], ['done', 'idle']);
  t.is((await mirror(to[1].address, '--export', 'b')).code, 0);
  t.is(await ended, 0);
  await to[1].listener.completed;
  t.true(to[1].bytes().equals(readFileSync(paths[1] as string)));
});
