/** flexnbd's `serve` and `listen` inside this process: readiness, shutting down, nothing left behind. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { askFlexnbd } from '../../../lib/nbd/flexnbd/control-client.ts';
import { FlexnbdListener } from '../../../lib/nbd/flexnbd/listen.ts';
import { FlexnbdServer } from '../../../lib/nbd/flexnbd/serve.ts';
import { helloBytes } from '../../fakes/nbd/bytes.ts';
import { closeAfterConnect } from '../../fakes/nbd/destination/close-after-connect.ts';
import { closeAfterHello } from '../../fakes/nbd/destination/close-after-hello.ts';
import { holding } from '../../fakes/nbd/destination/holding.ts';
import { FakeDestination } from '../../fakes/nbd/destination.ts';
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { freePort } from '../../helpers/free-port.ts';
import { Peer } from '../../helpers/peer.ts';
import { test } from '../../helpers/serial.ts';

const size = 128 * 1024;

interface Place {
  path: string;
  sock: string;
}

function place(t: ExecutionContext): Place {
  const folder = temporaryDirectory(t);
  const path = join(folder, 'disk');
  writeFileSync(path, pattern(size));
  return { path, sock: join(folder, 'sock') };
}

const common = { host: '127.0.0.1', entries: [], defaultDeny: false, killswitch: false };

test('L4, L7: the moment the control socket is there the port answers, with a hello at once, two hundred times', async (t) => {
  const { path, sock } = place(t);
  for (let run = 0; run < 200; run += 1) {
    const port = await freePort();
    const starting = FlexnbdServer.start({ ...common, port, path, sock });
    while (!existsSync(sock)) await new Promise(setImmediate);
    const startMs = performance.now();
    const peer = Peer.of(connect({ host: '127.0.0.1', port }));
    t.is((await peer.read(helloBytes)).length, helloBytes);
    t.true(performance.now() - startMs < 1000);
    const server = await starting;
    await peer.destroy();
    t.false(await server.stop(0));
    t.false(existsSync(sock));
  }
});

test('L4: status asked again and again while a migration ends delays nobody', async (t) => {
  const [from, to] = [place(t), place(t)];
  const listener = await FlexnbdListener.start({ ...common, port: 0, ...to });
  const server = await FlexnbdServer.start({ ...common, port: 0, ...from });
  let over = false;
  let answers = 0;
  const bombard = async (sock: string): Promise<void> => {
    while (!over) {
      await askFlexnbd(sock, 'status').then(
        () => {
          answers += 1;
        },
        () => new Promise((resolve) => setTimeout(resolve, 1)),
      );
    }
  };
  const asking = [from.sock, to.sock, from.sock, to.sock].map(bombard);
  const { port } = listener.address as { port: number };
  const started = await askFlexnbd(from.sock, 'mirror', ['127.0.0.1', `${port}`, 'unlink', undefined]);
  t.deepEqual(started, { code: 0, text: 'Mirror started' });
  const startMs = performance.now();
  await Promise.all([server.gone, listener.completed]);
  t.false(await server.stop());
  await listener.stop();
  t.true(performance.now() - startMs < 5000);
  over = true;
  await Promise.all(asking);
  t.true(answers > 0);
  t.false(existsSync(from.path));
});

test('L11, L13: refused, failed and broken migrations leave no descriptor, and the next one works', async (t) => {
  const from = place(t);
  const server = await FlexnbdServer.start({ ...common, port: 0, ...from });
  t.teardown(() => server.stop(0));
  const rejecting = await FakeDestination.start(t, size, closeAfterConnect);
  const failing = await FakeDestination.start(t, size, closeAfterHello(size, 1_000_000));
  const held = await FakeDestination.start(t, size, holding().sin);
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const mirror = (to: FakeDestination) => askFlexnbd(from.sock, 'mirror', ['127.0.0.1', `${to.port}`]);
  await mirror(rejecting);
  const before = descriptors();
  for (let run = 0; run < 20; run += 1) {
    t.is((await mirror(rejecting)).text, 'Mirror was rejected');
    for (const to of [failing, held]) {
      t.is((await mirror(to)).text, 'Mirror started');
      t.is((await askFlexnbd(from.sock, 'break')).text, 'mirror stopped');
    }
    t.is((await askFlexnbd(from.sock, 'mirror', ['nowhere', '1'])).text, 'bad IP address');
  }
  while (descriptors() > before) await new Promise((resolve) => setTimeout(resolve, 5));
  const good = await FakeDestination.start(t, size);
  t.is((await mirror(good)).text, 'Mirror started');
  await server.gone;
  t.true(good.image.equals(pattern(size)));
});

test('F.12: the access list lets IPv4 clients of a dual-stack socket in by their IPv4 entry', async (t) => {
  const { path, sock } = place(t);
  const server = await FlexnbdServer.start({
    ...common,
    host: '::',
    port: 0,
    path,
    sock,
    entries: ['127.0.0.1'],
  });
  t.teardown(() => server.stop(0));
  const { port } = server.address as { port: number };
  const peer = await Peer.connect({ host: '127.0.0.1', port });
  t.is((await peer.read(helloBytes)).length, helloBytes);
});
