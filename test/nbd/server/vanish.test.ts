/** Who asks something of a server and is gone, at any byte. Numbers in titles are those of nbd-migration, E. */
import { readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askFlexnbd } from '../../../lib/nbd/flexnbd/control-client.ts';
import { FlexnbdServer } from '../../../lib/nbd/flexnbd/serve.ts';
import { askControl, serveControl } from '../../../lib/network/control-socket.ts';
import { noise, pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { client, mib, newImage, RawClient, serve } from '../../helpers/nbd.ts';
import { conversations } from '../../helpers/nbd-conversations.ts';
import { test } from '../../helpers/serial.ts';

const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Resolves when so few descriptors are open again. */
async function hasDescriptors(count: number): Promise<void> {
  while (descriptors() > count) await delay(1);
}

for (const { name, style, said } of conversations)
  test(`L13: a client that vanishes at any byte costs nobody anything (${name})`, async (t) => {
    const image = await newImage(t, mib);
    const { port, server } = await serve(t, image, { style });
    const witness = await client(t, port);
    const mark = noise(512, 4);
    await witness.write(mark, 0, mark.length, mib - 512);
    const before = descriptors();
    for (let cut = 0; cut < said.length; cut += 1) {
      const raw = new RawClient(t, port);
      // the first byte of the server: it is at work
      await raw.take(1);
      raw.socket.write(said.subarray(0, cut), () => {
        if (cut % 2 === 0) raw.socket.resetAndDestroy();
        else raw.socket.destroy();
      });
      await raw.closed;
      if (cut % 50 !== 0) continue;
      const back = Buffer.alloc(512);
      await witness.read(back, 0, 512, mib - 512);
      t.true(back.equals(mark));
    }
    while (server.clients > 1) await delay(1);
    await hasDescriptors(before);
    // no range is held by who is gone
    await image.settle();
    await witness.write(mark, 0, mark.length, 0);
    await witness.flush();
  });

/** Says the first `cut` bytes of `said` on a Unix socket, and is gone. */
async function vanish(path: string, said: string, cut: number): Promise<void> {
  const socket = connect(path);
  await new Promise<void>((resolve) => {
    socket.on('error', () => undefined).on('close', () => resolve());
    socket.write(said.slice(0, cut), () => socket.destroy());
  });
}

test('L13: who vanishes in the middle of a control command costs nobody anything', async (t) => {
  const folder = temporaryDirectory(t);
  const [path, sock, own] = [join(folder, 'disk'), join(folder, 'sock'), join(folder, 'own')];
  writeFileSync(path, pattern(64 * 1024));
  const common = { host: '127.0.0.1', entries: [], defaultDeny: false, killswitch: false };
  const server = await FlexnbdServer.start({ ...common, port: 0, path, sock });
  t.teardown(() => server.stop(0));
  const control = await serveControl(own, { status: () => 'well' });
  t.teardown(() => control.close());
  await askFlexnbd(sock, 'status');
  const before = descriptors();
  for (const said of ['status\n\n', 'acl\n127.0.0.1\n10.0.0.0/8\n\n', 'mirror\n127.0.0.1\n1\nexit\n\n'])
    for (let cut = 0; cut <= said.length; cut += 1) await vanish(sock, said, cut);
  for (let cut = 0; cut <= 'status\n'.length; cut += 1) await vanish(own, 'status\n', cut);
  t.is((await askFlexnbd(sock, 'status')).code, 0);
  t.is(await askControl(own, 'status'), 'well');
  await hasDescriptors(before);
});
