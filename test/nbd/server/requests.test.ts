// What a server answers to requests, good and bad, as bytes of the protocol's tables. Source: nbd-migration, A.4, B.7-B.11.
import { truncateSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { noise, u32, u64 } from '../../helpers/bytes.ts';
import { mib, newImage, RawClient, type Served, serve } from '../../helpers/nbd.ts';
import {
  chunk,
  clientFlags,
  commands,
  contextQuery,
  exportQuery,
  option,
  type RequestFields,
  request,
  simple,
  u16,
} from '../../helpers/nbd-bytes.ts';

const EPERM = 1;
const EINVAL = 22;
const ENOSPC = 28;
const EBADMSG = 74;

interface Talker extends Served {
  raw: RawClient;
}

/** A newstyle client in transmission, with simple replies. */
async function plain(t: ExecutionContext, options: Parameters<typeof serve>[2] = {}): Promise<Talker> {
  const served = await serve(t, await newImage(t, mib, [[0, noise(65_536, 1)]]), options);
  const raw = new RawClient(t, served.port);
  await raw.take(18);
  raw.say(clientFlags, option(1));
  await raw.take(10);
  return { ...served, raw };
}

/** One with structured replies and `base:allocation`. */
async function structured(t: ExecutionContext, options: Parameters<typeof serve>[2] = {}): Promise<Talker> {
  const served = await serve(t, await newImage(t, mib, [[0, noise(65_536, 1)]]), options);
  const raw = new RawClient(t, served.port);
  await raw.take(18);
  raw.say(
    clientFlags,
    option(8),
    option(10, contextQuery('', 'base:allocation')),
    option(7, exportQuery('')),
  );
  await raw.take(20 + 39 + 20 + 32 + 20);
  return { ...served, raw };
}

/** An oldstyle client. */
async function oldstyle(t: ExecutionContext, options: Parameters<typeof serve>[2] = {}): Promise<Talker> {
  const served = await serve(t, await newImage(t, mib), { style: 'oldstyle', ...options });
  const raw = new RawClient(t, served.port);
  const hello = await raw.take(152);
  t.deepEqual(
    hello,
    Buffer.concat([Buffer.from('NBDMAGIC'), u64(0x420281861253n), u64(mib), u32(0x0d), Buffer.alloc(124)]),
  );
  return { ...served, raw };
}

type Case = readonly [what: string, fields: RequestFields, error: number, data?: Buffer];

const top = 0xffff_ffff_ffff_ffffn;
const { cache, disc, flush, read, status, trim, write, zero } = commands;

/** Requests that a newstyle server answers with an error; the connection stays usable. */
const refused: readonly Case[] = [
  ['an unknown type', { type: 9 }, EINVAL],
  ['the highest type', { type: 0xffff, length: 512 }, EINVAL],
  ['RESIZE', { type: 8, offset: 2 * mib }, EINVAL],
  ['READ that begins at the end', { type: read, offset: mib, length: 1 }, EINVAL],
  ['READ that ends behind the end', { type: read, offset: mib - 1, length: 2 }, EINVAL],
  ['F.7: READ whose end wraps to 0', { type: read, offset: top, length: 1 }, EINVAL],
  ['READ whose end wraps', { type: read, offset: top - 511n, length: 1024 }, EINVAL],
  ['READ at 2^63', { type: read, offset: 2n ** 63n, length: 512 }, EINVAL],
  ['READ of more than the maximum', { type: read, length: 0xffffffff }, EINVAL],
  ['READ with NO_HOLE', { type: read, flags: 2, length: 512 }, EINVAL],
  ['READ with DF without structured replies', { type: read, flags: 4, length: 512 }, EINVAL],
  ['READ with flags that nobody knows', { type: read, flags: 0x8000, length: 512 }, EINVAL],
  ['READ with a payload length', { type: read, flags: 0x20, length: 512 }, EINVAL],
  ['WRITE behind the end', { type: write, offset: mib, length: 5 }, ENOSPC, Buffer.alloc(5)],
  ['WRITE whose end wraps', { type: write, offset: top, length: 5 }, ENOSPC, Buffer.alloc(5)],
  ['WRITE with flags of others', { type: write, flags: 0x10, length: 5 }, EINVAL, Buffer.alloc(5)],
  ['TRIM behind the end', { type: trim, offset: mib, length: 512 }, EINVAL],
  ['TRIM whose end wraps', { type: trim, offset: top, length: 0xffffffff }, EINVAL],
  ['WRITE_ZEROES behind the end', { type: zero, offset: mib - 511, length: 512 }, ENOSPC],
  ['WRITE_ZEROES of 4 GiB', { type: zero, length: 0xffffffff }, ENOSPC],
  ['CACHE behind the end', { type: cache, offset: mib + 1, length: 0 }, EINVAL],
  ['FLUSH with a range', { type: flush, offset: 512, length: 512 }, EINVAL],
  ['BLOCK_STATUS without a context', { type: status, length: 512 }, EINVAL],
  ['BLOCK_STATUS of nothing', { type: status }, EINVAL],
];

test('refused requests are answered with the error of the table, and the connection stays', async (t) => {
  const { raw, stored } = await plain(t);
  const before = stored();
  for (const [i, [what, fields, error, data = Buffer.alloc(0)]] of refused.entries()) {
    raw.say(request({ ...fields, cookie: i }), data);
    t.deepEqual(await raw.take(16), simple(i, error), what);
  }
  raw.say(request({ type: read, cookie: 99, length: 512 }));
  t.deepEqual(await raw.take(528), Buffer.concat([simple(99), before.subarray(0, 512)]));
  t.deepEqual(stored(), before);
});

test('requests of length 0 do nothing and succeed', async (t) => {
  const { raw } = await plain(t);
  for (const type of [read, write, trim, cache, zero]) {
    raw.say(request({ type, cookie: type, offset: mib }));
    t.deepEqual(await raw.take(16), simple(type));
  }
});

test('a read-only export refuses every change with EPERM, and swallows its data', async (t) => {
  const { raw, stored } = await plain(t, { served: { readOnly: true } });
  const before = stored();
  for (const type of [write, trim, zero]) {
    raw.say(
      request({ type, cookie: type, length: 1024 }),
      type === write ? Buffer.alloc(1024) : Buffer.alloc(0),
    );
    t.deepEqual(await raw.take(16), simple(type, EPERM));
  }
  raw.say(request({ type: flush }));
  t.deepEqual(await raw.take(16), simple(1));
  t.deepEqual(stored(), before);
});

test('a WRITE above the maximum is swallowed and refused, one far above ends the connection', async (t) => {
  const { port, raw } = await plain(t);
  raw.say(request({ type: write, cookie: 3, length: 40 * mib }));
  for (let i = 0; i < 40; i += 1) raw.say(Buffer.alloc(mib));
  t.deepEqual(await raw.take(16), simple(3, ENOSPC));
  raw.say(request({ type: write, length: 0x7fffffff }));
  t.is((await raw.closed).length, 0);
  const next = new RawClient(t, port);
  t.is((await next.take(18)).length, 18);
});

test('a wrong magic ends a newstyle connection without a word', async (t) => {
  const { raw } = await plain(t);
  raw.say(request({ type: read, length: 512, magic: 0x12560953 }));
  t.is((await raw.closed).length, 0);
});

test('DISC ends the connection once what was asked before is answered', async (t) => {
  const { raw } = await plain(t);
  raw.say(
    request({ type: flush, cookie: 1 }),
    request({ type: zero, cookie: 2, length: 4096 }),
    request({ type: disc, cookie: 3 }),
    request({ type: flush, cookie: 4 }),
  );
  const rest = await raw.closed;
  const replies = [rest.subarray(0, 16).toString('hex'), rest.subarray(16).toString('hex')];
  t.deepEqual(replies.sort(), [simple(1).toString('hex'), simple(2).toString('hex')]);
});

test('structured replies: data, holes, extents, errors with words', async (t) => {
  const { raw, stored } = await structured(t);
  const disk = stored();
  const data = (offset: number, length: number): Buffer =>
    Buffer.concat([u64(offset), disk.subarray(offset, offset + length)]);
  const hole = (offset: number, length: number): Buffer => Buffer.concat([u64(offset), u32(length)]);
  const talk: [string, RequestFields, Buffer][] = [
    ['data', { type: read, length: 1024 }, chunk(1, 1, data(0, 1024))],
    ['a hole', { type: read, offset: 131_072, length: 8192 }, chunk(2, 1, hole(131_072, 8192))],
    [
      'both',
      { type: read, offset: 61_440, length: 16_384 },
      Buffer.concat([chunk(1, 1, data(61_440, 4096), false), chunk(2, 1, hole(65_536, 12_288))]),
    ],
    [
      'DF: one piece',
      { type: read, flags: 4, offset: 61_440, length: 16_384 },
      chunk(1, 1, data(61_440, 16_384)),
    ],
    ['nothing', { type: read }, chunk(0, 1, Buffer.alloc(0))],
    [
      'extents',
      { type: status, length: mib },
      chunk(5, 1, Buffer.concat([u32(1), u32(65_536), u32(0), u32(mib - 65_536), u32(3)])),
    ],
    [
      'one extent, not beyond the request',
      { type: status, flags: 8, offset: 4096, length: 8192 },
      chunk(5, 1, Buffer.concat([u32(1), u32(8192), u32(0)])),
    ],
    ['no data: a simple reply', { type: flush }, simple(1)],
    [
      'an error',
      { type: flush, length: 1 },
      chunk(0x8001, 1, Buffer.concat([u32(EINVAL), u16(18), Buffer.from('flush with a range')])),
    ],
  ];
  for (const [what, fields, expected] of talk) {
    raw.say(request(fields));
    t.deepEqual(await raw.take(expected.length), expected, what);
  }
});

test('zeroes are made with and without holes, and read as zeroes', async (t) => {
  const { image, raw, stored } = await structured(t);
  raw.say(request({ type: zero, cookie: 1, length: 16_384 }));
  raw.say(request({ type: zero, flags: 2 | 1, cookie: 2, offset: 16_384, length: 16_384 }));
  raw.say(request({ type: zero, flags: 16, cookie: 3, offset: 32_768, length: 4096 }));
  await raw.take(48);
  t.true(
    stored()
      .subarray(0, 36_864)
      .every((byte) => byte === 0),
  );
  t.deepEqual(await image.extents(0, 65_536, 9), [
    { lengthBytes: 16_384, hole: true },
    { lengthBytes: 16_384, hole: false },
    { lengthBytes: 4096, hole: true },
    { lengthBytes: 28_672, hole: false },
  ]);
});

test("oldstyle: everything is judged in flexnbd's order", async (t) => {
  const { raw, stored } = await oldstyle(t);
  const cases: readonly Case[] = [
    ['READ behind the end', { type: read, offset: mib, length: 1 }, ENOSPC],
    ['F.7: READ whose end wraps', { type: read, offset: top, length: 1 }, ENOSPC],
    ['WRITE behind the end', { type: write, offset: mib - 1, length: 2 }, ENOSPC, Buffer.alloc(2)],
    ['DISC behind the end', { type: disc, offset: mib, length: 1 }, ENOSPC],
    ['FLUSH behind the end', { type: flush, offset: mib, length: 1 }, ENOSPC],
    ['an unknown type behind the end', { type: 77, offset: mib, length: 1 }, ENOSPC],
    ['an unknown type', { type: 77, length: 1 }, EINVAL],
    ['TRIM', { type: trim, length: 512 }, EINVAL],
    ['READ of nothing at the end', { type: read, offset: mib }, 0],
    ['WRITE of nothing', { type: write }, 0],
    ['WRITE with flags that nobody knows', { type: write, flags: 0xfffe, length: 3 }, 0, Buffer.from('abc')],
    ['FLUSH with a range', { type: flush, length: 512 }, 0],
  ];
  for (const [i, [what, fields, error, data = Buffer.alloc(0)]] of cases.entries()) {
    raw.say(request({ ...fields, cookie: i }), data);
    t.deepEqual(await raw.take(16), simple(i, error), what);
  }
  t.is(stored().subarray(0, 3).toString(), 'abc');
  raw.say(request({ type: read, cookie: 7, magic: 0x25609514, length: 512 }));
  t.deepEqual(await raw.closed, simple(7, EBADMSG));
});

test('a long simple READ among many others is whole, and all of them are answered', async (t) => {
  const disk = noise(8 * mib, 4);
  const served = await serve(t, await newImage(t, 8 * mib, [[0, disk]]), { style: 'oldstyle' });
  const raw = new RawClient(t, served.port);
  await raw.take(152);
  const lengths = [
    262_144,
    3 * mib,
    262_144,
    4096,
    8 * mib,
    ...Array.from({ length: 40 }, () => 262_144),
    2 * mib,
  ];
  raw.socket.pause();
  for (const [cookie, length] of lengths.entries()) raw.say(request({ type: read, cookie, length }));
  raw.say(request({ type: flush, cookie: 999 }), request({ type: disc }));
  raw.socket.resume();
  const said = await raw.closed;
  const seen = new Set<number>();
  for (let at = 0; at < said.length; ) {
    const cookie = Number(said.readBigUInt64BE(at + 8));
    t.deepEqual(said.subarray(at, at + 16), simple(cookie));
    const length = cookie === 999 ? 0 : (lengths[cookie] as number);
    t.true(said.subarray(at + 16, at + 16 + length).equals(disk.subarray(0, length)), `READ ${cookie}`);
    seen.add(cookie);
    at += 16 + length;
  }
  t.is(seen.size, lengths.length + 1);
});

test('an image that shrinks under us: EIO for what is gone, the rest goes on', async (t) => {
  const { image, raw } = await plain(t);
  truncateSync(image.path, 131_072);
  raw.say(request({ type: read, cookie: 1, offset: 262_144, length: 4096 }));
  t.deepEqual(await raw.take(16), simple(1, 5));
  raw.say(request({ type: read, cookie: 2, length: 4096 }));
  t.deepEqual((await raw.take(16 + 4096)).subarray(0, 16), simple(2));
});

test('an image that shrinks in the middle of a long simple READ costs the connection, nothing else', async (t) => {
  const served = await serve(t, await newImage(t, 8 * mib, [[0, noise(mib, 1)]]));
  const raw = new RawClient(t, served.port);
  await raw.take(18);
  raw.say(clientFlags, option(1));
  await raw.take(10);
  truncateSync(served.image.path, mib);
  raw.say(request({ type: read, length: 8 * mib }));
  const rest = await raw.closed;
  t.deepEqual(rest.subarray(0, 16), simple(1));
  t.true(rest.length <= 16 + mib);
  const next = new RawClient(t, served.port);
  t.is((await next.take(18)).length, 18);
});
