/** `millrace flexnbd proxy` and `millrace nbd proxy` as processes. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { askControl } from '../../../lib/network/control-socket.ts';
import { hello, helloBytes, reply, replyBytes, request, types } from '../../fakes/nbd/bytes.ts';
import { FakeDestination } from '../../fakes/nbd/destination.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { launch, ready, run } from '../../helpers/flexnbd-process.ts';
import { freePort } from '../../helpers/free-port.ts';
import { Peer } from '../../helpers/peer.ts';
import { test } from '../../helpers/serial.ts';

const size = 65_536;
const flush = request(types.flush, 0, 0);
const done = reply(Buffer.from('.MIRROR.'));

test('flexnbd proxy: hello and requests pass, on a Unix socket too; a signal is status 0', async (t) => {
  const to = await FakeDestination.start(t, size);
  const path = join(temporaryDirectory(t), 'socket');
  const args = ['proxy', '--addr', path, '-C', '127.0.0.1', '-P', `${to.port}`, '--cache'];
  const running = launch(t, args);
  await ready(running, path);
  const peer = Peer.of(connect(path));
  t.true((await peer.read(helloBytes)).equals(hello(size)));
  t.true((await peer.ask(flush, replyBytes)).equals(done));
  to.cut();
  t.true((await peer.ask(flush, replyBytes)).equals(done));
  running.child.kill('SIGTERM');
  t.is((await running.ended).code, 0);
});

test('F.9: a proxy that cannot reach its server at the start does not end with 0', async (t) => {
  const port = `${await freePort()}`;
  const { code, stderr } = await run(t, [
    'proxy',
    '-l',
    '127.0.0.1',
    '-p',
    '0',
    '-C',
    '127.0.0.1',
    '-P',
    port,
  ]);
  t.is(code, 1);
  t.regex(stderr, new RegExp(port));
});

test('nbd proxy: its control socket says what it has done', async (t) => {
  const to = await FakeDestination.start(t, size);
  const sock = join(temporaryDirectory(t), 'control');
  const port = await freePort();
  const args = ['proxy', '-p', `${port}`, '--cache', '64k', '-s', sock, `nbd://127.0.0.1:${to.port}`];
  const running = launch(t, args, { command: 'nbd' });
  await ready(running, sock);
  const peer = await Peer.connect({ host: '127.0.0.1', port });
  await peer.read(helloBytes);
  t.true((await peer.ask(flush, replyBytes)).equals(done));
  const status = (await askControl(sock, 'status')) as Record<string, unknown>;
  t.is(status.requests, 1);
  t.is(status.sizeBytes, size);
  running.child.kill('SIGINT');
  t.is((await running.ended).code, 0);
});
