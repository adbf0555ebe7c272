/** `millrace nbd serve` inside this process. Numbers in titles are those of nbd-migration, E. */
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { main } from '../../../cli/main.ts';
import { askControl } from '../../../lib/network/control-socket.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { freePort } from '../../helpers/free-port.ts';
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
