/** `millrace nbd serve` and the clients that people use: libnbd's tools, qemu's, nbd-client, fio. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { noise } from '../helpers/bytes.ts';
import { mib } from '../helpers/nbd.ts';
import { imageFile, NbdProcess } from '../helpers/nbd-process.ts';
import { must, ran, withPrograms } from './helpers/nbd.ts';

const size = 64 * mib;
const data = noise(3 * mib, 7);
/** Data at 1 MiB and at 40 MiB, holes elsewhere. */
const layout = [
  [mib, data],
  [40 * mib, data.subarray(0, mib)],
] as const;

const sparse = (t: Parameters<typeof imageFile>[0]): string => imageFile(t, size, layout);

withPrograms(['nbdinfo'], 'nbdinfo: exports, abilities and map are told', async (t) => {
  const [first, second] = [sparse(t), imageFile(t, mib)];
  const server = await NbdProcess.start(t, { args: [first, `second=${second}`] });
  const uri = `nbd://127.0.0.1:${await server.port()}`;
  const { exports } = JSON.parse(await must(t, 'nbdinfo', '--list', '--json', uri)) as {
    exports: Record<string, unknown>[];
  };
  t.deepEqual(
    exports.map((each) => [each['export-name'], each['export-size']]),
    [
      ['', size],
      ['second', mib],
    ],
  );
  for (const can of [
    'can_cache',
    'can_df',
    'can_fast_zero',
    'can_flush',
    'can_fua',
    'can_multi_conn',
    'can_trim',
    'can_zero',
  ])
    t.is(exports[0]?.[can], true, can);
  t.deepEqual(exports[0]?.contexts, ['base:allocation']);
  const map = JSON.parse(await must(t, 'nbdinfo', '--map', '--json', uri)) as {
    offset: number;
    length: number;
    type: number;
  }[];
  t.deepEqual(
    map.map(({ offset, length, type }) => [offset / mib, length / mib, type]),
    [
      [0, 1, 3],
      [1, 3, 0],
      [4, 36, 3],
      [40, 1, 0],
      [41, 23, 3],
    ],
  );
  t.regex((await ran('nbdinfo', `${uri}/nobody`)).stderr, /No such file/);
});

withPrograms(
  ['nbdcopy', 'nbdinfo'],
  'nbdcopy: a disk comes out as it lies there, and goes in with its holes',
  async (t) => {
    const [from, to] = [sparse(t), imageFile(t, size)];
    const source = await NbdProcess.start(t, { args: ['-r', from] });
    const target = await NbdProcess.start(t, { args: [to] });
    const copy = join(dirname(from), 'copy');
    await must(t, 'nbdcopy', `nbd://127.0.0.1:${await source.port()}`, copy);
    t.true(readFileSync(copy).equals(readFileSync(from)));
    await must(t, 'nbdcopy', '--flush', from, `nbd://127.0.0.1:${await target.port()}`);
    t.true(readFileSync(to).equals(readFileSync(from)));
    t.is((await target.status()).exports[0]?.allocatedBytes, 4 * mib);
    await must(
      t,
      'nbdcopy',
      `nbd://127.0.0.1:${await source.port()}`,
      `nbd://127.0.0.1:${await target.port()}`,
    );
    t.true(readFileSync(to).equals(readFileSync(from)));
  },
);

withPrograms(
  ['nbdcopy', 'nbdinfo'],
  'oldstyle: libnbd and qemu read and write as they do from flexnbd',
  async (t) => {
    const [from, to] = [sparse(t), imageFile(t, size)];
    const server = await NbdProcess.start(t, { args: ['--oldstyle', '--sync', 'flush', to] });
    const uri = `nbd://127.0.0.1:${await server.port()}`;
    t.regex(await must(t, 'nbdinfo', uri), /oldstyle/);
    await must(t, 'nbdcopy', from, uri);
    t.true(readFileSync(to).equals(readFileSync(from)));
  },
);

withPrograms(
  ['qemu-img', 'qemu-io'],
  'qemu: convert, compare, map, patterns, zeroes and discards',
  async (t) => {
    const [from, to] = [sparse(t), imageFile(t, size)];
    const server = await NbdProcess.start(t, { args: [to] });
    const uri = `nbd://127.0.0.1:${await server.port()}`;
    await must(t, 'qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', from, uri);
    t.true(readFileSync(to).equals(readFileSync(from)));
    await must(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', from, uri);
    const map = JSON.parse(await must(t, 'qemu-img', 'map', '--output=json', '-f', 'raw', uri)) as {
      start: number;
      length: number;
      data: boolean;
    }[];
    const dataBytes = map.filter((each) => each.data).reduce((sum, { length }) => sum + length, 0);
    t.is(dataBytes, 4 * mib);
    const commands = [
      'write -P 0x5a 512 64k',
      'read -P 0x5a 512 64k',
      'write -f -P 0xa5 100k 4k',
      'write -z 8k 8k',
      'read -P 0 8k 8k',
      'write -z -u 24k 8k',
      'read -P 0 24k 8k',
      'discard 40k 8k',
      'flush',
      'aio_write -P 1 1M 2M',
      'aio_write -P 2 3M 2M',
      'aio_read 0 1M',
      'aio_flush',
      'read -P 1 1M 2M',
      'read -P 2 3M 2M',
    ];
    const said = await must(t, 'qemu-io', '-f', 'raw', ...commands.flatMap((one) => ['-c', one]), uri);
    t.notRegex(said, /fail|error|Pattern/i);
  },
);

withPrograms(['qemu-nbd', 'nbd-client'], 'qemu-nbd -L and nbd-client -l list the exports', async (t) => {
  const server = await NbdProcess.start(t, { args: [`alpha=${sparse(t)}`, `beta=${imageFile(t, mib)}`] });
  const port = String(await server.port());
  t.regex(await must(t, 'qemu-nbd', '-L', '-p', port, '-b', '127.0.0.1'), /export: 'alpha'.*export: 'beta'/s);
  const { stdout } = await ran('nbd-client', '-l', '127.0.0.1', port);
  t.regex(stdout, /alpha.*beta/s);
});

withPrograms(
  ['nbdsh'],
  'nbdsh: every command and flag has its effect, errors are those of the protocol',
  async (t) => {
    const path = imageFile(t, mib, [[0, noise(65_536, 3)]]);
    const server = await NbdProcess.start(t, { args: [path] });
    const script = `
import errno, nbd
h.pwrite(b"x" * 1000, 100, nbd.CMD_FLAG_FUA)
assert h.pread(1000, 100) == b"x" * 1000
h.zero(512, 0)
h.zero(512, 512, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
h.zero(4096, 4096, nbd.CMD_FLAG_FAST_ZERO)
assert h.pread(1024, 0) == bytearray(1024)
h.trim(4096, 8192, nbd.CMD_FLAG_FUA)
h.cache(65536, 0)
h.flush()
seen = []
h.block_status(1 << 20, 0, lambda c, o, e, err: seen.append((c, o, list(e))))
assert seen[0][0] == "base:allocation" and sum(seen[0][2][::2]) == 1 << 20, seen
chunks = []
h.pread_structured(131072, 0, lambda b, o, s, err: chunks.append((o, len(b), s)))
assert any(s == nbd.READ_HOLE for _, _, s in chunks), chunks
assert len(h.pread_structured(65536, 32768, lambda b, o, s, err: None, nbd.CMD_FLAG_DF)) == 65536
h.set_strict_mode(0)
for call, wanted in [
    (lambda: h.pread(512, 1 << 20), errno.EINVAL),
    (lambda: h.pread(512, (1 << 63) - 512), errno.EINVAL),
    (lambda: h.pwrite(b"x" * 512, (1 << 20) - 511), errno.ENOSPC),
    (lambda: h.zero(512, 1 << 20), errno.ENOSPC),
    (lambda: h.trim(512, 1 << 20), errno.EINVAL),
    (lambda: h.pread(512, 0, 0x8000), errno.EINVAL),
]:
    try:
        call()
        raise SystemExit("no error")
    except nbd.Error as e:
        assert e.errnum == wanted, (e.errnum, wanted, e.string)
assert h.pread(512, 0) == bytearray(512)
h.shutdown()
`;
    await must(
      t,
      'nbdsh',
      '-c',
      'h.add_meta_context("base:allocation")',
      '-c',
      `h.connect_uri("nbd://127.0.0.1:${await server.port()}")`,
      '-c',
      script,
    );
    t.is(await server.stop(), 0);
  },
);

withPrograms(
  ['fio'],
  'fio: random writes at depth 16 over two connections read back as they were written',
  async (t) => {
    if (!(await ran('fio', '--enghelp')).stdout.includes('nbd')) {
      t.log('this fio has no nbd engine');
      t.pass();
      return;
    }
    const server = await NbdProcess.start(t, { args: [imageFile(t, 16 * mib)] });
    await must(
      t,
      'fio',
      '--name=x',
      '--ioengine=nbd',
      `--uri=nbd://127.0.0.1:${await server.port()}`,
      '--rw=randwrite',
      '--bsrange=512-128k',
      '--bs_unaligned=0',
      '--iodepth=16',
      '--size=16M',
      '--verify=crc32c',
      '--verify_state_save=0',
      '--randrepeat=1',
    );
    t.is(await server.stop(), 0);
  },
);

withPrograms(
  ['openssl', 'nbdinfo'],
  'TLS with certificates: forced, offered, and with those of clients',
  async (t) => {
    const path = sparse(t);
    const folder = join(dirname(path), 'pki');
    mkdirSync(folder);
    const at = (name: string): string => join(folder, name);
    const signed = async (name: string): Promise<void> => {
      await must(
        t,
        'openssl',
        'req',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        `/CN=${name}`,
        '-keyout',
        at(`${name}-key.pem`),
        '-out',
        at(`${name}.csr`),
      );
      writeFileSync(at('ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
      await must(
        t,
        'openssl',
        'x509',
        '-req',
        '-in',
        at(`${name}.csr`),
        '-CA',
        at('ca-cert.pem'),
        '-CAkey',
        at('ca-key.pem'),
        '-CAcreateserial',
        '-days',
        '2',
        '-extfile',
        at('ext'),
        '-out',
        at(`${name}-cert.pem`),
      );
    };
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
      '/CN=ca',
      '-keyout',
      at('ca-key.pem'),
      '-out',
      at('ca-cert.pem'),
    );
    await signed('server');
    await signed('client');
    const bare = join(dirname(path), 'bare');
    mkdirSync(bare);
    writeFileSync(join(bare, 'ca-cert.pem'), readFileSync(at('ca-cert.pem')));

    const forced = await NbdProcess.start(t, { args: ['--tls-certificates', folder, path] });
    const port = await forced.port();
    const told = await must(t, 'nbdinfo', `nbds://localhost:${port}?tls-certificates=${folder}`);
    t.regex(told, /with TLS/);
    t.not((await ran('nbdinfo', `nbd://localhost:${port}`)).status, 0);
    const copy = at('copy');
    await must(t, 'nbdcopy', `nbds://localhost:${port}?tls-certificates=${folder}`, copy);
    t.true(readFileSync(copy).equals(readFileSync(path)));
    t.is(await forced.stop(), 0);

    const offered = await NbdProcess.start(t, { args: ['--tls', 'on', '--tls-certificates', folder, path] });
    const open = await offered.port();
    t.regex(await must(t, 'nbdinfo', `nbd://localhost:${open}`), /without TLS/);
    t.regex(await must(t, 'nbdinfo', `nbds://localhost:${open}?tls-certificates=${folder}`), /with TLS/);
    t.is(await offered.stop(), 0);

    const strict = await NbdProcess.start(t, {
      args: ['--tls-verify-peer', '--tls-certificates', folder, path],
    });
    const strictPort = await strict.port();
    await must(t, 'nbdinfo', `nbds://localhost:${strictPort}?tls-certificates=${folder}`);
    t.not((await ran('nbdinfo', `nbds://localhost:${strictPort}?tls-certificates=${bare}`)).status, 0);
    await must(t, 'nbdinfo', `nbds://localhost:${strictPort}?tls-certificates=${folder}`);
  },
);

withPrograms(['nbdinfo'], 'TLS with keys: those who have one, and nobody else', async (t) => {
  const path = sparse(t);
  const [good, bad] = [join(dirname(path), 'keys'), join(dirname(path), 'bad')];
  writeFileSync(good, 'alice:00112233445566778899aabbccddeeff\n', { mode: 0o600 });
  writeFileSync(bad, 'alice:ffffffffffffffffffffffffffffffff\n', { mode: 0o600 });
  const server = await NbdProcess.start(t, { args: ['--tls-psk', good, path] });
  const port = await server.port();
  t.regex(await must(t, 'nbdinfo', `nbds://alice@localhost:${port}?tls-psk-file=${good}`), /with TLS/);
  t.not((await ran('nbdinfo', `nbds://alice@localhost:${port}?tls-psk-file=${bad}`)).status, 0);
  const copy = join(dirname(path), 'copy');
  await must(t, 'nbdcopy', `nbds://alice@localhost:${port}?tls-psk-file=${good}`, copy);
  t.true(readFileSync(copy).equals(readFileSync(path)));
});

withPrograms(
  ['nbdsh', 'unshare', 'mount'],
  'F.14: a full disk is ENOSPC for who writes; the server, its other clients and what was written live on',
  async (t) => {
    const folder = dirname(imageFile(t, 0));
    // a mount namespace with a file system of 4 MiB, in which the server lives
    const script = `mount -t tmpfs -o size=4m none "${folder}" && truncate -s 16M "${folder}/disk" && exec "$0" "$@"`;
    const server = await NbdProcess.start(t, {
      wrapper: ['unshare', '-m', 'sh', '-c', script],
      args: [join(folder, 'disk')],
    });
    const port = await server.port();
    const python = `
import errno, nbd
o = nbd.NBD()
o.connect_uri("nbd://127.0.0.1:${port}")
h.connect_uri("nbd://127.0.0.1:${port}")
written = 0
try:
    while written < 16 << 20:
        h.pwrite(b"%c" % (65 + written // 262144) * 262144, written)
        written += 262144
    raise SystemExit("never full")
except nbd.Error as e:
    assert e.errnum == errno.ENOSPC, e.string
assert 2 << 20 < written < 5 << 20, written
for at in range(0, written, 262144):
    assert o.pread(262144, at) == b"%c" % (65 + at // 262144) * 262144, at
h.trim(written, 0)
h.pwrite(b"z" * 262144, 0)
assert o.pread(262144, 0) == b"z" * 262144
`;
    await must(t, 'nbdsh', '-n', '-c', 'h = nbd.NBD()', '-c', python);
    t.is(await server.stop(), 0);
  },
  { root: true },
);

withPrograms(
  ['nbdinfo', 'unshare', 'ip'],
  'L10: an address that comes late is served within a second of its coming',
  async (t) => {
    const path = sparse(t);
    const server = new NbdProcess(t, {
      wrapper: ['unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'],
      args: ['-a', '10.99.0.1', '-p', '10809', path],
      anywhere: true,
    });
    await server.says(/address-missing/);
    const inside = (...command: string[]) => ran('nsenter', '-t', String(server.child.pid), '-n', ...command);
    t.is((await inside('ip', 'addr', 'add', '10.99.0.1/32', 'dev', 'lo')).status, 0);
    const startMs = performance.now();
    await server.ready();
    t.true(performance.now() - startMs < 3000);
    t.is((await inside('nbdinfo', 'nbd://10.99.0.1')).status, 0);
  },
  { root: true },
);
