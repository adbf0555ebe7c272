import test from 'ava';
import { readMetadataClass } from '../../../lib/ctf/metadata/index.ts';
import { traceClassOfTsdl } from '../../../lib/ctf/metadata/tsdl.ts';
import { MillraceError } from '../../../lib/errors.ts';
import { hex } from '../../helpers/hex.ts';

const start = '/* CTF 1.8 */\ntrace { major = 1; minor = 8; byte_order = le; };\n';
const u8 = 'typealias integer { size = 8; align = 8; } := u8;\n';

function contextOf(members: string, before = u8) {
  const trace = traceClassOfTsdl(`${start}${before}stream { packet.context := struct { ${members} }; };\n`);
  return trace.streams.get(0n)?.packetContext;
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR_ERR_CTF_METADATA') return error.message;
    throw error;
  }
  return 'accepted';
}

test('tsdl: integers have the sizes, signs, orders and alignments that are written, and the usual ones otherwise', (t) => {
  const context = contextOf(
    'integer { size = 5; } a; integer { size = 0x10; byte_order = network; signed = TRUE; base = x; } b; integer { size = 32; align = 010; } c;',
  );
  t.deepEqual(
    context?.members.map(({ type }) => type),
    [
      { kind: 'integer', sizeBits: 5, alignBits: 1, signed: false, byteOrder: 'little', base: 10 },
      { kind: 'integer', sizeBits: 16, alignBits: 8, signed: true, byteOrder: 'big', base: 16 },
      { kind: 'integer', sizeBits: 32, alignBits: 8, signed: false, byteOrder: 'little', base: 10 },
    ],
  );
});

test('tsdl: type names of several words, pointers and typedefs of arrays mean what they were declared as', (t) => {
  const before = `typealias integer { size = 64; align = 8; } := const unsigned long;
    typealias integer { size = 32; align = 8; base = 16; } := const char * const *;
    ${u8}typedef u8 byte, pair[2][3];`;
  const [a, b, c, d] =
    contextOf('const unsigned long a; const char * const * b; byte c; pair d;', before)?.members ?? [];
  t.like(a?.type, { sizeBits: 64 });
  t.like(b?.type, { sizeBits: 32, base: 16 });
  t.like(c?.type, { sizeBits: 8 });
  t.like(d?.type, {
    kind: 'array',
    length: 2,
    element: { kind: 'array', length: 3, element: { sizeBits: 8 } },
  });
});

test('tsdl: inner names hide outer ones, and end with their scope', (t) => {
  const context = contextOf(
    'struct { typealias integer { size = 16; } := u8; u8 inside; } s; u8 outside; struct named { u8 x; } m; struct named n;',
  );
  const sizes = context?.members.map(({ type }) => (type.kind === 'struct' ? type.members[0]?.type : type));
  t.deepEqual(
    sizes?.map((type) => type?.kind === 'integer' && type.sizeBits),
    [16, 8, 8, 8],
  );
});

test('tsdl: enumerations count on, and take ranges; sequences and variants know where to look', (t) => {
  const [tag, choice, list] =
    contextOf(
      'enum : u8 { a, "b" = 5 ... 7, int, } tag; variant <tag> { u8 a; string b; } v; u8 list[stream.packet.context.tag];',
    )?.members ?? [];
  t.like(tag?.type, {
    labels: [
      { label: 'a', low: 0n, high: 0n },
      { label: 'b', low: 5n, high: 7n },
      { label: 'int', low: 8n, high: 8n },
    ],
  });
  t.like(choice?.type, { kind: 'variant', tagPath: ['tag'] });
  t.like(list?.type, { kind: 'sequence', lengthPath: ['stream', 'packet', 'context', 'tag'] });
});

test('tsdl: what counts is independent of the order of blocks', (t) => {
  const trace =
    traceClassOfTsdl(`stream { id = 7; packet.context := struct { u32 x; }; event.header := struct { u32 id; }; };
    event { name = e; id = 0; stream_id = 7; fields := struct { u32 y[env.n]; }; };
    typealias integer { size = 32; map = clock.late.value; } := u32;
    trace { major = 1; minor = 8; byte_order = be; uuid = "2A6422D0-6cee-11e0-8c08-cb07d7b3a564";
      packet.header := struct { u32 stream_id; }; };
    clock { name = late; freq = 1000; };
    env { hostname = "h\\x41\\101\\""; n = 3; n = 4; domain = a.b; };`);
  t.deepEqual(trace.uuid, hex('2a6422d06cee11e08c08cb07d7b3a564'));
  t.like(trace.streams.get(7n)?.eventHeader, { kind: 'struct', members: [{ name: 'id', role: 'eventId' }] });
  t.deepEqual(
    [...trace.environment],
    [
      ['hostname', 'hAA"'],
      ['n', 4n],
      ['domain', 'a.b'],
    ],
  );
  t.like(trace.packetHeader?.members[0], {
    role: 'streamClassId',
    type: { byteOrder: 'big', clock: 'late' },
  });
});

test('tsdl: what is wrong is said with its line and column', (t) => {
  const inStream = (text: string) => refusal(() => contextOf(text));
  t.regex(
    refusal(() => traceClassOfTsdl('trace { major = 1; };')),
    /line 1, column 1: minor version is not 8/,
  );
  t.regex(
    refusal(() => traceClassOfTsdl(`${start}clock { name = x; }`)),
    /line 3, column 20: the end in place of ";"/,
  );
  t.regex(
    refusal(() => traceClassOfTsdl(`${start}\n  #`)),
    /line 4, column 3: unexpected "#"/,
  );
  t.regex(inStream('u9 x;'), /line 4, column 37: type "u9" is not declared/);
  t.regex(inStream('u8 x; u8 x;'), /"x" twice/);
  t.regex(inStream('u8 x : 3;'), /":" in place of ";"/);
  t.regex(inStream('integer { size = 65; } x;'), /an integer of 65 bits/);
  t.regex(inStream('integer { size = 8; size = 8; } x;'), /"size" twice/);
  t.regex(inStream('integer { size = 8; map = clock.c.value; } x;'), /is no clock's value/);
  t.regex(inStream('struct { } align(3) x;'), /no power of two/);
  t.regex(inStream('integer { signed = true; size = 8; } packet_size;'), /"packet_size" has not the type/);
  t.regex(inStream('variant { u8 a; } v;'), /a variant without a tag/);
  t.regex(inStream('u8 x[-1];'), /the length of an array/);
  t.regex(inStream('u8 x[18446744073709551616];'), /does not fit into 64 bits/);
  t.regex(
    refusal(() => traceClassOfTsdl(`${start}stream { id = 1; };`)),
    /which packets do not name/,
  );
  t.regex(
    refusal(() => traceClassOfTsdl(start + start)),
    /a second trace block/,
  );
  t.regex(
    refusal(() => traceClassOfTsdl(`${start}// no line end`)),
    /a comment that does not end/,
  );
  t.regex(
    refusal(() => traceClassOfTsdl(`${start}env { a = "\\q"; };`)),
    /an escape that is not known/,
  );
  t.regex(
    refusal(() => readMetadataClass(Buffer.alloc(0))),
    /it is empty/,
  );
});
