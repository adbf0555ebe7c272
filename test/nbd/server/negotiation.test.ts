// What a server answers to options, as bytes of the protocol's tables. Source: nbd-migration, B.2-B.5, B.9.
import test, { type ExecutionContext } from 'ava';
import { u32, u64 } from '../../helpers/bytes.ts';
import { mib, newImage, RawClient, serve } from '../../helpers/nbd.ts';
import {
  acknowledged,
  clientFlags,
  commands,
  contextQuery,
  errors,
  exportQuery,
  greeting,
  option,
  optionReply,
  request,
  simple,
  u16,
} from '../../helpers/nbd-bytes.ts';

const allocation = 'base:allocation';
const exportInfo = (flags: number): Buffer => Buffer.concat([u16(0), u64(mib), u16(flags)]);
const blockSizes = Buffer.concat([u16(3), u32(1), u32(4096), u32(33_554_432)]);
const context = (id: number): Buffer => Buffer.concat([u32(id), Buffer.from(allocation)]);
/** Everything but read-only, rotational, DF, resize. */
const plainFlags = 0x0d6d;

async function begin(t: ExecutionContext, options: Parameters<typeof serve>[2] = {}): Promise<RawClient> {
  const { port } = await serve(t, await newImage(t, mib), options);
  const raw = new RawClient(t, port);
  t.deepEqual(await raw.take(18), greeting);
  return raw;
}

/** One option after the other, with all that is answered to each; the connection stays usable. */
type Talk = readonly (readonly [asked: Buffer, ...answers: Buffer[]])[];

const answers = test.macro({
  title: (title = '') => `negotiation: ${title}`,
  async exec(t: ExecutionContext, talk: Talk, options: Parameters<typeof serve>[2] = {}) {
    const raw = await begin(t, options);
    raw.say(clientFlags);
    for (const [asked, ...expected] of talk) {
      raw.say(asked);
      const wanted = Buffer.concat(expected);
      t.deepEqual(await raw.take(wanted.length), wanted);
    }
    // ABORT is answered, and nothing came in between
    raw.say(option(2));
    t.deepEqual(await raw.take(20), optionReply(2, acknowledged));
    t.is((await raw.closed).length, 0);
  },
});

test(
  'INFO tells size, flags and block sizes when asked',
  answers,
  [
    [
      option(6, exportQuery('', 3)),
      optionReply(6, 3, exportInfo(plainFlags)),
      optionReply(6, 3, blockSizes),
      optionReply(6, acknowledged),
    ],
    [option(6, exportQuery('')), optionReply(6, 3, exportInfo(plainFlags)), optionReply(6, acknowledged)],
    [
      option(6, exportQuery('', 1, 2, 77)),
      optionReply(6, 3, exportInfo(plainFlags)),
      optionReply(6, 3, u16(1)),
      optionReply(6, 3, Buffer.concat([u16(2), Buffer.from('a disk')])),
      optionReply(6, acknowledged),
    ],
  ],
  { served: { description: 'a disk' } },
);

test(
  'DF is offered once structured replies are agreed, changes are not where it is read-only',
  answers,
  [
    [option(8), optionReply(8, acknowledged)],
    [option(8), optionReply(8, acknowledged)],
    [option(6, exportQuery('')), optionReply(6, 3, exportInfo(0x058f)), optionReply(6, acknowledged)],
  ],
  { served: { readOnly: true } },
);

test(
  'LIST names the exports',
  answers,
  [
    [
      option(3),
      optionReply(3, 2, Buffer.concat([u32(1), Buffer.from('xtext')])),
      optionReply(3, acknowledged),
    ],
  ],
  { served: { name: 'x', description: 'text' } },
);

test(
  'the default export is found by no name and by its own',
  answers,
  [
    [option(6, exportQuery('x')), optionReply(6, 3, exportInfo(plainFlags)), optionReply(6, acknowledged)],
    [option(6, exportQuery('')), optionReply(6, 3, exportInfo(plainFlags)), optionReply(6, acknowledged)],
  ],
  { served: { name: 'x' } },
);

test('meta contexts are listed and selected, unknown ones are passed over', answers, [
  [
    option(10, contextQuery('', allocation)),
    errorReply(10, errors.invalid, 'structured replies have to be agreed first'),
  ],
  [option(9, contextQuery('')), optionReply(9, 4, context(0)), optionReply(9, acknowledged)],
  [option(9, contextQuery('', 'base:')), optionReply(9, 4, context(0)), optionReply(9, acknowledged)],
  [option(9, contextQuery('', 'qemu:')), optionReply(9, acknowledged)],
  [option(8), optionReply(8, acknowledged)],
  [
    option(10, contextQuery('', 'x:y', allocation)),
    optionReply(10, 4, context(1)),
    optionReply(10, acknowledged),
  ],
  [option(10, contextQuery('', 'base:')), optionReply(10, acknowledged)],
  [option(10, contextQuery('')), optionReply(10, acknowledged)],
  [
    option(10, contextQuery('nobody', allocation)),
    errorReply(10, errors.unknown, 'there is no export "nobody"'),
  ],
]);

test('what nobody knows or is malformed gets an error, and the connection stays', answers, [
  [option(4), errorReply(4, errors.unsup, 'withdrawn')],
  [option(77, Buffer.alloc(1000)), errorReply(77, errors.unsup, 'option 77 is not known')],
  [option(5), errorReply(5, errors.unsup, 'this server has no TLS')],
  [option(6, exportQuery('nobody')), errorReply(6, errors.unknown, 'there is no export "nobody"')],
  [option(7, exportQuery('nobody')), errorReply(7, errors.unknown, 'there is no export "nobody"')],
  [option(12, Buffer.alloc(100_000)), errorReply(12, errors.unsup, 'option 12 is not known')],
  [option(3, Buffer.alloc(100_000)), errorReply(3, errors.tooBig, 'more than 65536 bytes')],
]);

function errorReply(code: number, type: number, words: string): Buffer {
  return optionReply(code, type, Buffer.from(words));
}

/** Options whose lengths or texts are wrong: ERR_INVALID each. */
const malformed: Readonly<Record<string, Buffer>> = {
  'LIST with data': option(3, Buffer.alloc(1)),
  'STRUCTURED_REPLY with data': option(8, Buffer.alloc(1)),
  'EXTENDED_HEADERS with data': option(11, Buffer.alloc(4)),
  'STARTTLS with data': option(5, Buffer.alloc(4)),
  'GO of nothing': option(7),
  'GO with a name beyond its data': option(7, Buffer.concat([u32(100), u16(0)])),
  'GO with a name of 4 GiB': option(7, Buffer.concat([u32(0xffffffff), u16(0)])),
  'GO with more infos than data': option(7, Buffer.concat([u32(0), u16(9), u16(3)])),
  'GO with data behind its end': option(7, Buffer.concat([exportQuery('', 3), Buffer.alloc(1)])),
  'GO with a NUL in the name': option(7, exportQuery('a\0b')),
  'GO with a name that is no UTF-8': option(7, Buffer.concat([u32(1), Buffer.from([0xff]), u16(0)])),
  'SET_META_CONTEXT of nothing': option(10),
  'SET_META_CONTEXT with a query beyond its data': option(10, Buffer.concat([u32(0), u32(1), u32(50)])),
  'LIST_META_CONTEXT with a million queries': option(9, Buffer.concat([u32(0), u32(1_000_000)])),
  'LIST_META_CONTEXT with data behind its end': option(9, Buffer.concat([contextQuery(''), Buffer.alloc(3)])),
};

test('negotiation: malformed options get ERR_INVALID, and the connection stays', async (t) => {
  const raw = await begin(t);
  raw.say(clientFlags);
  for (const [what, asked] of Object.entries(malformed)) {
    raw.say(asked);
    const reply = await raw.take(20);
    t.is(reply.readUInt32BE(12).toString(16), errors.invalid.toString(16), what);
    await raw.take(reply.readUInt32BE(16));
  }
  raw.say(option(7, exportQuery('')));
  const wanted = Buffer.concat([optionReply(7, 3, exportInfo(plainFlags)), optionReply(7, acknowledged)]);
  t.deepEqual(await raw.take(wanted.length), wanted);
});

/** What ends the connection without a word. */
const closing: Readonly<Record<string, Buffer[]>> = {
  'client flags that were not offered': [u32(7)],
  'no option at all': [clientFlags, Buffer.alloc(16, 0x41)],
  'an absurd option': [clientFlags, Buffer.concat([option(3).subarray(0, 12), u32(0x7fffffff)])],
  'EXPORT_NAME of nobody': [clientFlags, option(1, Buffer.from('nobody'))],
  'EXPORT_NAME after extended headers': [clientFlags, option(11), option(1)],
  'an option other than EXPORT_NAME from a client without fixed newstyle': [u32(0), option(3)],
};

for (const [what, said] of Object.entries(closing))
  test(`negotiation: ${what} ends the connection, and no other`, async (t) => {
    const { port } = await serve(t, await newImage(t, mib));
    const other = new RawClient(t, port);
    await other.take(18);
    const raw = new RawClient(t, port);
    await raw.take(18);
    raw.say(...said);
    const rest = await raw.closed;
    t.true(rest.length <= 20, 'only what was answered before');
    other.say(clientFlags, option(8));
    t.deepEqual(await other.take(20), optionReply(8, acknowledged));
  });

test('negotiation: EXPORT_NAME answers with 124 zeroes unless they were agreed away', async (t) => {
  const { port } = await serve(t, await newImage(t, mib));
  const head = Buffer.concat([u64(mib), u16(plainFlags)]);
  for (const [flags, expected] of [
    [u32(1), Buffer.concat([head, Buffer.alloc(124)])],
    [u32(3), head],
    [u32(0), Buffer.concat([head, Buffer.alloc(124)])],
  ] as const) {
    const raw = new RawClient(t, port);
    await raw.take(18);
    raw.say(flags, option(1), request({ type: commands.flush, cookie: 9 }));
    t.deepEqual(await raw.take(expected.length + 16), Buffer.concat([expected, simple(9)]));
    raw.say(request({ type: commands.disc }));
    t.is((await raw.closed).length, 0);
  }
});

test('negotiation: the same is agreed when every byte comes alone', async (t) => {
  const raw = await begin(t);
  const said = Buffer.concat([
    clientFlags,
    option(8),
    option(7, exportQuery('', 3)),
    request({ type: commands.flush, cookie: 5 }),
  ]);
  for (const byte of said) {
    raw.say(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const expected = Buffer.concat([
    optionReply(8, acknowledged),
    optionReply(7, 3, exportInfo(plainFlags | 0x80)),
    optionReply(7, 3, blockSizes),
    optionReply(7, acknowledged),
    simple(5),
  ]);
  t.deepEqual(await raw.take(expected.length), expected);
});

test('negotiation: a client that vanishes behind any byte of it harms nobody', async (t) => {
  const { port, server } = await serve(t, await newImage(t, mib));
  const said = Buffer.concat([clientFlags, option(8), option(7, exportQuery('', 3))]);
  for (let bytes = 0; bytes < said.length; bytes += 1) {
    const raw = new RawClient(t, port);
    await raw.take(18);
    raw.socket.end(said.subarray(0, bytes));
    await raw.closed;
  }
  const raw = new RawClient(t, port);
  await raw.take(18);
  raw.say(clientFlags, option(2));
  t.deepEqual(await raw.take(20), optionReply(2, acknowledged));
  await raw.closed;
  while (server.clients > 0) await new Promise((resolve) => setImmediate(resolve));
  t.is(server.clients, 0);
});
