/** millrace's own client and copies, against real servers and their faults. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { NbdClient } from '../../lib/nbd/client/client.ts';
import { noise } from '../helpers/bytes.ts';
import { freePort } from '../helpers/free-port.ts';
import { mib } from '../helpers/nbd.ts';
import { imageFile, NbdProcess, program } from '../helpers/nbd-process.ts';
import { must, ran, server, withPrograms } from './helpers/nbd.ts';

const size = 32 * mib;
const data = noise(2 * mib, 7);

const sparse = (t: ExecutionContext): string =>
  imageFile(t, size, [
    [mib, data],
    [20 * mib, data.subarray(0, mib)],
  ]);

const millrace = (...args: readonly string[]) => ran(process.execPath, program, ...args);

const uriOf = (socket: string, name = ''): string => `nbd+unix:///${name}?socket=${socket}`;

interface Report {
  doneBytes: number;
  totalBytes: number;
  dataBytes: number;
  seconds: number;
}

async function copied(t: ExecutionContext, from: string, to: string): Promise<Report> {
  const { status, stderr } = await millrace('pipe', '--json', from, to);
  t.is(status, 0, stderr);
  return JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as Report;
}

/** Servers by what they speak. `holes`: whether they tell where there is no data. */
const servers: readonly {
  name: string;
  holes: boolean;
  command: (socket: string, path: string) => readonly [string, ...string[]];
}[] = [
  { name: 'nbdkit', holes: true, command: (s, p) => ['nbdkit', '-f', '-U', s, 'file', p] },
  { name: 'nbdkit oldstyle', holes: false, command: (s, p) => ['nbdkit', '-o', '-f', '-U', s, 'file', p] },
  {
    name: 'nbdkit without structured replies',
    holes: false,
    command: (s, p) => ['nbdkit', '--no-sr', '-f', '-U', s, 'file', p],
  },
  {
    name: 'nbdkit without fixed newstyle',
    holes: false,
    command: (s, p) => ['nbdkit', '--mask-handshake=0', '-f', '-U', s, 'file', p],
  },
  {
    name: 'qemu-nbd',
    holes: true,
    command: (s, p) => ['qemu-nbd', '-t', '-e', '8', '-f', 'raw', '-k', s, p],
  },
];

for (const { command, holes, name } of servers)
  withPrograms(
    [command('', '')[0]],
    `pipe: a disk out of ${name} and into one, with its holes`,
    async (t) => {
      const path = sparse(t);
      const [socket, copy] = [`${path}.sock`, `${path}.copy`];
      await server(t, socket, ...command(socket, path));
      const out = await copied(t, uriOf(socket), copy);
      t.true(readFileSync(copy).equals(readFileSync(path)));
      t.is(out.dataBytes, holes ? 3 * mib : size);
      // nbdkit 1.32 offers FLUSH in oldstyle, and answers it with EINVAL: nothing can be known to be durable there
      if (name === 'nbdkit oldstyle') return;

      const target = imageFile(t, size, [[5 * mib, data]]);
      const into = `${target}.sock`;
      await server(t, into, ...command(into, target));
      await copied(t, path, uriOf(into));
      t.true(readFileSync(target).equals(readFileSync(path)));
    },
  );

withPrograms(['nbd-server'], 'pipe: a disk out of nbd-server by name', async (t) => {
  const path = sparse(t);
  const folder = dirname(path);
  const [socket, config] = [join(folder, 'sock'), join(folder, 'config')];
  writeFileSync(
    config,
    `[generic]\nunixsock=${socket}\nallowlist=true\n[disk]\nexportname=${path}\nflush=true\nfua=true\n`,
  );
  await server(t, socket, 'nbd-server', '-d', '-C', config);
  const copy = join(folder, 'copy');
  await copied(t, uriOf(socket, 'disk'), copy);
  t.true(readFileSync(copy).equals(readFileSync(path)));
  const none = await millrace('nbd', 'info', uriOf(socket, 'nobody'));
  t.is(none.status, 1);
});

withPrograms(['nbdkit'], 'read and write: parts of a disk by standard input and output', async (t) => {
  const path = sparse(t);
  const socket = `${path}.sock`;
  await server(t, socket, 'nbdkit', '-f', '-U', socket, 'file', path);
  const part = join(dirname(path), 'part');
  t.is((await millrace('nbd', 'read', '-F', '1M', '-S', '300k', uriOf(socket), part)).status, 0);
  t.true(readFileSync(part).equals(data.subarray(0, 300 * 1024)));
  const child = spawn(process.execPath, [program, 'nbd', 'write', '-F', '512', '-S', '1M', uriOf(socket)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.end(data.subarray(0, mib));
  const [code] = (await once(child, 'close')) as [number];
  t.is(code, 0);
  t.true(
    readFileSync(path)
      .subarray(512, mib + 512)
      .equals(data.subarray(0, mib)),
  );
  t.is((await millrace('nbd', 'read', '-F', '31M', '-S', '2M', uriOf(socket))).status, 1);
  const less = spawn(process.execPath, [program, 'nbd', 'write', '-S', '1M', uriOf(socket)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  less.stdin.end('too little');
  const [short] = (await once(less, 'close')) as [number];
  t.is(short, 1, 'F.13: less on standard input than announced is an error');
});

withPrograms(
  ['nbdkit'],
  'a server that errs ends a copy with its error, and the file is no copy',
  async (t) => {
    const path = sparse(t);
    const socket = `${path}.sock`;
    // all of the first piece of data can be read, the second not at all: the error comes in the middle, always
    const errs = `if [ $4 -ge ${20 * mib} ]; then echo ENOSPC refused >&2; exit 1; fi`;
    const reads = `dd if=${path} iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none`;
    const rules = [`get_size=echo ${size}`, `pread=${errs}; ${reads}`];
    await server(t, socket, 'nbdkit', '-f', '-U', socket, 'eval', ...rules);
    const copy = join(dirname(path), 'copy');
    const { status, stderr } = await millrace('pipe', uriOf(socket), copy);
    t.is(status, 1);
    t.false(readFileSync(copy).equals(readFileSync(path)));
    t.regex(stderr, /answers read with ENOSPC/);
  },
);

withPrograms(['nbdkit'], 'a slow server is waited for, with many requests in flight', async (t) => {
  const path = sparse(t);
  const [socket, copy] = [`${path}.sock`, join(dirname(path), 'copy')];
  await server(t, socket, 'nbdkit', '-f', '-U', socket, '--filter=delay', 'file', path, 'rdelay=500ms');
  const { seconds } = await copied(t, uriOf(socket), copy);
  // 12 requests of 256 KiB; one after the other would take 6 s
  t.true(seconds < 5, `${seconds} s`);
  t.true(readFileSync(copy).equals(readFileSync(path)));
});

withPrograms(
  ['nbdkit'],
  'behind nbdkit’s retry filter a server that is killed and started anew is the same disk',
  async (t) => {
    const path = imageFile(t, mib, [[0, data.subarray(0, mib)]]);
    const [socket, port] = [`${path}.sock`, await freePort()];
    const args = ['-a', '127.0.0.1', '-p', `${port}`, path];
    const first = await NbdProcess.start(t, { args, anywhere: true });
    const retries = ['retries=20', 'retry-delay=1', 'retry-exponential=no'];
    const upstream = ['nbd', 'hostname=127.0.0.1', `port=${port}`];
    await server(t, socket, 'nbdkit', '-f', '-U', socket, '--filter=retry', ...upstream, ...retries);
    const disk = await NbdClient.connect({ address: { path: socket }, exportName: '' });
    t.teardown(() => disk.destroy());
    const written = noise(65_536, 9);
    await disk.write(written, 0, written.length, 4096, { fua: true });
    await first.stop('SIGKILL');
    const back = Buffer.alloc(mib);
    const reading = disk.read(back, 0, mib, 0);
    const second = await NbdProcess.start(t, { args, anywhere: true });
    await reading;
    const expected = Buffer.from(data.subarray(0, mib));
    written.copy(expected, 4096);
    t.true(back.equals(expected));
    await disk.flush();
    await disk.disconnect();
    t.is(await second.stop(), 0);
  },
);

withPrograms(['nbdkit'], 'a read-only server refuses a copy with its error', async (t) => {
  const path = sparse(t);
  const socket = `${path}.sock`;
  await server(t, socket, 'nbdkit', '-r', '-f', '-U', socket, 'file', path);
  const { status, stderr } = await millrace('pipe', path, uriOf(socket));
  t.is(status, 1);
  t.regex(stderr, /EPERM|read-only/);
});

withPrograms(['nbdkit', 'openssl'], 'TLS: certificates are checked, keys are used', async (t) => {
  const path = sparse(t);
  const folder = dirname(path);
  const at = (name: string): string => join(folder, name);
  await must(
    t,
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
    '-keyout',
    at('server-key.pem'),
    '-out',
    at('server-cert.pem'),
  );
  writeFileSync(at('ca-cert.pem'), readFileSync(at('server-cert.pem')));
  const socket = at('sock');
  await server(
    t,
    socket,
    'nbdkit',
    '--tls=require',
    `--tls-certificates=${folder}`,
    '-f',
    '-U',
    socket,
    'file',
    path,
  );
  const uri = `nbds+unix:///?socket=${socket}`;
  const trusted = await millrace('nbd', 'info', '--json', `${uri}&tls-certificates=${folder}`);
  t.is(trusted.status, 0, trusted.stderr);
  t.regex((JSON.parse(trusted.stdout) as { protocol: string }).protocol, /TLS/);
  t.is((await millrace('nbd', 'info', uri)).status, 1, 'nobody vouches for it');
  t.is((await millrace('nbd', 'info', `${uri}&tls-verify-peer=false`)).status, 0);
  t.is((await millrace('nbd', 'info', uriOf(socket))).status, 1, 'it wants TLS');

  writeFileSync(at('keys'), 'alice:00112233445566778899aabbccddeeff\n', { mode: 0o600 });
  const second = at('psk.sock');
  await server(
    t,
    second,
    'nbdkit',
    '--tls=require',
    `--tls-psk=${at('keys')}`,
    '-f',
    '-U',
    second,
    'file',
    path,
  );
  const keyed = `nbds+unix://alice@/?socket=${second}&tls-psk-file=${at('keys')}`;
  const info = await millrace('nbd', 'info', keyed);
  t.is(info.status, 0, info.stderr);
  await copied(t, keyed, at('copy'));
  t.true(readFileSync(at('copy')).equals(readFileSync(path)));
});
