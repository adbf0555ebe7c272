/** Migrations with the programs that people use: as destination, as source, and as clients that notice nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NbdProxy } from '../../lib/nbd/proxy/proxy.ts';
import { pattern } from '../helpers/bytes.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { launch, ready, run } from '../helpers/flexnbd-process.ts';
import { freePort } from '../helpers/free-port.ts';
import { testListener } from '../helpers/listener.ts';
import { mirrorTo, testSource } from '../helpers/mirror.ts';
import { imageFile } from '../helpers/nbd-process.ts';
import { must, server, withPrograms } from './helpers/nbd.ts';

const mib = 1024 * 1024;
const size = 16 * mib;

withPrograms(
  ['nbdkit', 'nbdcopy'],
  'nbdkit as a destination, oldstyle: the disk with its holes is there, and a second time its changes are',
  async (t) => {
    const folder = temporaryDirectory(t);
    const port = await freePort();
    const pidFile = join(folder, 'pid');
    await server(
      t,
      pidFile,
      'nbdkit',
      '-f',
      '-o',
      '-P',
      pidFile,
      '-i',
      '127.0.0.1',
      '-p',
      `${port}`,
      'memory',
      '16M',
    );
    const source = await testSource(t, size, { holes: true });
    for (let times = 0; times < 2; times += 1) {
      await source.mirror.start(mirrorTo({ address: { host: '127.0.0.1', port } }, { action: 'nothing' }));
      while (source.mirror.isMirroring) await new Promise((resolve) => setTimeout(resolve, 5));
      const copy = join(folder, `copy-${times}`);
      await must(t, 'nbdcopy', `nbd://127.0.0.1:${port}`, copy);
      t.true(readFileSync(copy).equals(source.bytes));
      await source.write(size - 8192, pattern(8192, times));
    }
  },
);

withPrograms(
  ['nbdcopy', 'nbdinfo'],
  'nbdcopy as a source: its copy completes the listener; nbdinfo, which only looks, does not (F.1)',
  async (t) => {
    const file = imageFile(t, size, [[mib, pattern(3 * mib, 7)]]);
    const { listener, address, bytes } = await testListener(t, size);
    const uri = `nbd://${address.host}:${address.port}`;
    await must(t, 'nbdinfo', uri);
    t.false(listener.hasControl);
    await must(t, 'nbdcopy', '--flush', file, uri);
    await listener.completed;
    t.true(bytes().equals(readFileSync(file)));
  },
);

withPrograms(
  ['qemu-img'],
  'qemu-img behind the proxy: the server is cut off again and again, and what was read is whole',
  async (t) => {
    const folder = temporaryDirectory(t);
    const file = imageFile(t, size, [
      [0, pattern(4 * mib, 3)],
      [9 * mib, pattern(5 * mib, 4)],
    ]);
    const port = await freePort();
    const args = ['serve', '-a', '127.0.0.1', '-p', `${port}`, '-s', join(folder, 'sock'), file];
    let serving = launch(t, args, { command: 'nbd' });
    await ready(serving, join(folder, 'sock'));
    const proxy = await NbdProxy.start({
      listen: { host: '127.0.0.1', port: 0 },
      upstream: { address: { host: '127.0.0.1', port }, exportName: '' },
      retryMs: 20,
    });
    t.teardown(() => proxy.close());
    const { port: near } = proxy.address as { port: number };
    const copying = must(
      t,
      'qemu-img',
      'convert',
      '-f',
      'raw',
      '-O',
      'raw',
      `nbd://127.0.0.1:${near}`,
      join(folder, 'out'),
    );
    for (let times = 0; times < 2; times += 1) {
      const before = proxy.status().requests;
      while (proxy.status().requests === before) await new Promise((resolve) => setTimeout(resolve, 1));
      serving.child.kill('SIGKILL');
      await serving.ended;
      serving = launch(t, args, { command: 'nbd' });
    }
    await copying;
    t.true(readFileSync(join(folder, 'out')).equals(readFileSync(file)));
  },
);

withPrograms(
  ['fio'],
  'fio behind the proxy: the disk moves to another server under it, and every block that it wrote is there',
  async (t) => {
    const folder = temporaryDirectory(t);
    const [port, listenPort] = [await freePort(), await freePort()];
    const [sock, listenSock] = [join(folder, 'sock'), join(folder, 'listen.sock')];
    const file = imageFile(t, size);
    const nbd = { command: 'nbd' };
    const here = launch(t, ['serve', '-a', '127.0.0.1', '-p', `${port}`, '-s', sock, file], nbd);
    await ready(here, sock);
    // where the disk was served before, once the other one has closed
    const there = launch(
      t,
      // biome-ignore format: one option a word
      ['listen', '-a', '127.0.0.1', '-p', `${listenPort}`, '-s', listenSock, '--create', `${size}`,
        '--then-serve', `127.0.0.1:${port}`, join(folder, 'copy')],
      nbd,
    );
    await ready(there, listenSock);
    const proxy = await NbdProxy.start({
      listen: { host: '127.0.0.1', port: 0 },
      upstream: { address: { host: '127.0.0.1', port }, exportName: '' },
      retryMs: 20,
    });
    t.teardown(() => proxy.close());
    const { port: near } = proxy.address as { port: number };
    const fio = spawn(
      'fio',
      // biome-ignore format: one option a word
      ['--name=t', '--ioengine=nbd', `--uri=nbd://127.0.0.1:${near}`, '--rw=randwrite', '--bs=4k', '--iodepth=1',
        `--size=${size}`, '--verify=crc32c', '--do_verify=1', '--verify_fatal=1', '--verify_state_save=0', '--thread'],
      { stdio: 'ignore' },
    );
    t.teardown(() => fio.kill('SIGKILL'));
    const ended = once(fio, 'exit');
    while (proxy.status().requests < 200) await new Promise((resolve) => setTimeout(resolve, 5));
    const moved = await run(t, ['mirror', '--wait', '--unlink', sock, `nbd://127.0.0.1:${listenPort}`], nbd);
    t.is(moved.code, 0, moved.stderr);
    t.is((await here.ended).code, 0);
    const [status] = await ended;
    t.is(status, 0, 'fio has found every block');
    t.true(proxy.status().reconnections > 0);
    there.child.kill('SIGTERM');
    t.is((await there.ended).code, 0);
  },
);
