import test from 'ava';
import fc from 'fast-check';
import {
  bytes,
  constant,
  fixedString,
  flag,
  i64,
  list,
  narrow,
  neededBytes,
  optional,
  optionalString,
  padding,
  rest,
  sizedString,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
  type Value,
} from '../../lib/schema/index.ts';
import { codeOf, hex } from '../helpers/hex.ts';
import { arbitraryOf, mutationsOf } from '../helpers/layouts.ts';

const item = struct('item', [
  ['id', u64, ''],
  ['size', u16, 'bytes'],
]);

const everything = struct('everything', [
  ['magic', constant(u32, 0xc0ffee00), ''],
  ['small', u8, ''],
  ['nameLength', u16, 'bytes with NUL'],
  ['live', flag(u8), ''],
  ['when', i64, 's'],
  ['chunk', optional(u64), ''],
  ['uuid', bytes(4), ''],
  ['hole', padding(3), ''],
  ['host', fixedString(6), ''],
  ['noteLength', u32, 'bytes with NUL'],
  ['name', sizedString('nameLength', { max: 8 }), ''],
  ['note', optionalString('noteLength', { max: 8 }), ''],
  ['itemCount', u8, ''],
  ['items', list('itemCount', item, { max: 3 }), ''],
  ['tail', rest, ''],
]);

// Written by hand from the declaration above.
const whole = hex(`c0ffee00 07 0003 01 ffffffffffffffff 01 0000000000000009 deadbeef 000000
  766d0000 0000 00000000 733100 02 0000000000000001 0010 ffffffffffffffff 0020 aabb`);
const value: Value<typeof everything> = {
  small: 7,
  live: true,
  when: -1n,
  chunk: 9n,
  uuid: hex('deadbeef'),
  host: 'vm',
  name: 's1',
  note: undefined,
  items: [
    { id: 1n, size: 16 },
    { id: 2n ** 64n - 1n, size: 32 },
  ],
  tail: hex('aabb'),
};

test('struct: decodes every type from bytes written by hand', (t) => {
  t.deepEqual(everything.decode(whole), value);
  t.deepEqual(everything.decode(Buffer.concat([hex('0102'), whole, hex('ff')]), 2, 2 + whole.length), value);
});

test('struct: encodes every type to bytes written by hand, and says their number before', (t) => {
  t.deepEqual(everything.encode(value), whole);
  t.is(everything.sizeOf(value), whole.length);
  const into = Buffer.alloc(whole.length + 3, 0xee);
  t.is(everything.encodeInto(value, into, 2), 2 + whole.length);
  t.deepEqual(into, Buffer.concat([hex('eeee'), whole, hex('ee')]));
});

test('struct: every value comes back from its bytes, and hostile bytes throw a MillraceError at the worst', (t) => {
  fc.assert(
    fc.property(arbitraryOf(everything), (any) => {
      const encoded = everything.encode(any);
      t.is(encoded.length, everything.sizeOf(any));
      t.deepEqual(everything.decode(encoded), any);
      for (const { what, bytes: hostile } of mutationsOf(everything, encoded)) {
        codeOf(() => everything.decode(hostile));
        t.notThrows(() => everything.dump(hostile), what);
      }
    }),
  );
});

test('struct: little endian turns every integer round', (t) => {
  const little = struct(
    'little',
    [
      ['a', u16, ''],
      ['b', u32, ''],
      ['c', u64, ''],
      ['d', optional(u32), ''],
    ],
    { endian: 'little' },
  );
  const bytesOf = hex('0100 02000000 0300000000000000 01 04000000');
  t.deepEqual(little.decode(bytesOf), { a: 1, b: 2, c: 3n, d: 4 });
  t.deepEqual(little.encode({ a: 1, b: 2, c: 3n, d: 4 }), bytesOf);
});

test('struct: knows its least size, its fixed size and its offsets', (t) => {
  t.is(item.minSizeBytes, 10);
  t.is(item.fixedSizeBytes, 10);
  t.is(everything.fixedSizeBytes, undefined);
  t.is(everything.minSizeBytes, 4 + 1 + 2 + 1 + 8 + 9 + 4 + 3 + 6 + 4 + 1 + 1);
  t.is(everything.offsetOf('uuid'), 25);
  t.throws(() => everything.offsetOf('itemCount'), { message: /no fixed offset/ });
  t.throws(() => everything.offsetOf('nothing'), { message: /no field/ });
});

test('struct: truncated anywhere before its last fixed byte, it is short', (t) => {
  for (let size = 0; size < whole.length - 2; size++)
    t.is(
      codeOf(() => everything.decode(whole.subarray(0, size))),
      'MR_ERR_WIRE_SHORT',
      `${size} bytes`,
    );
});

test('struct: never looks behind its end, though the buffer goes on', (t) => {
  t.is(
    codeOf(() => item.decode(Buffer.alloc(40), 0, 9)),
    'MR_ERR_WIRE_SHORT',
  );
  t.is(
    codeOf(() => item.decode(Buffer.alloc(40).subarray(0, 5), 0, 30)),
    'MR_ERR_WIRE_SHORT',
  );
  t.is(
    codeOf(() => item.encodeInto({ id: 0n, size: 0 }, Buffer.alloc(40).subarray(0, 9), 0)),
    'MR_ERR_WIRE_SHORT',
  );
});

test('struct: refuses a wrong constant', (t) => {
  const wrong = Buffer.from(whole);
  wrong[0] = 0;
  t.is(
    codeOf(() => everything.decode(wrong)),
    'MR_ERR_WIRE_VALUE',
  );
});

test('struct: an exact layout refuses bytes behind its end', (t) => {
  const exact = struct('exact', [['a', u16, '']], { exact: true });
  t.deepEqual(exact.decode(hex('0001')), { a: 1 });
  t.is(
    codeOf(() => exact.decode(hex('000100'))),
    'MR_ERR_WIRE_LONG',
  );
});

const named = struct('named', [
  ['length', u32, ''],
  ['name', sizedString('length', { max: 4 }), ''],
]);

test('sizedString: refuses what is empty, too long, beyond the end, unterminated, cut by a NUL, or no UTF-8', (t) => {
  t.deepEqual(named.decode(hex('00000005 61c3a96200')), { name: 'aéb' });
  t.deepEqual(named.decode(hex('00000001 00')), { name: '' });
  t.is(
    codeOf(() => named.decode(hex('00000001'))),
    'MR_ERR_WIRE_SHORT',
  );
  t.is(
    codeOf(() => named.decode(hex('00000000 00'))),
    'MR_ERR_WIRE_STRING',
  );
  t.is(
    codeOf(() => named.decode(hex('00000006 616161616100'))),
    'MR_ERR_WIRE_LONG',
  );
  t.is(
    codeOf(() => named.decode(hex('ffffffff 00'))),
    'MR_ERR_WIRE_LONG',
  );
  t.is(
    codeOf(() => named.decode(hex('00000003 6100'))),
    'MR_ERR_WIRE_SHORT',
  );
  t.is(
    codeOf(() => named.decode(hex('00000002 6161 00'))),
    'MR_ERR_WIRE_STRING',
  );
  t.is(
    codeOf(() => named.decode(hex('00000003 610000'))),
    'MR_ERR_WIRE_STRING',
  );
  t.is(
    codeOf(() => named.decode(hex('00000003 ff6100'))),
    'MR_ERR_WIRE_STRING',
  );
});

const titled = struct('titled', [
  ['length', u16, ''],
  ['title', text('length', { max: 4 }), ''],
  ['next', u8, ''],
]);

test('text: is as long as it is said, may be empty, has no NUL', (t) => {
  t.deepEqual(titled.decode(hex('0004 61c3a962 07')), { title: 'aéb', next: 7 });
  t.deepEqual(titled.decode(hex('0000 07')), { title: '', next: 7 });
  t.deepEqual(titled.encode({ title: 'aéb', next: 7 }), hex('0004 61c3a962 07'));
  t.deepEqual(titled.encode({ title: '', next: 7 }), hex('0000 07'));
  const refused: [string, string][] = [
    ['0005 6161616161 07', 'MR_ERR_WIRE_LONG'],
    ['ffff', 'MR_ERR_WIRE_LONG'],
    ['0003 6161', 'MR_ERR_WIRE_SHORT'],
    ['0002 6100 07', 'MR_ERR_WIRE_STRING'],
    ['0001 ff 07', 'MR_ERR_WIRE_STRING'],
  ];
  for (const [bytes, code] of refused)
    t.is(
      codeOf(() => titled.decode(hex(bytes))),
      code,
      bytes,
    );
  t.is(
    codeOf(() => titled.encode({ title: 'aaaaa', next: 0 })),
    'MR_ERR_WIRE_LONG',
  );
  t.is(
    codeOf(() => titled.encode({ title: 'a\0', next: 0 })),
    'MR_ERR_WIRE_STRING',
  );
});

test('neededBytes: tells more with every byte, never too much, and exactly once all is there', (t) => {
  const listed = struct('listed', [
    ['count', u8, ''],
    ['titles', list('count', titled, { max: 3 }), ''],
    ['nameLength', u8, 'bytes with NUL'],
    ['name', sizedString('nameLength', { max: 8 }), ''],
  ]);
  // Cut by hand: 2 titles, one of them empty; a name.
  const all = hex('02 0004 61c3a962 07 0000 08 03 733100');
  t.is(all.length, 15);
  for (const layout of [listed, everything]) {
    const bytes = layout === everything ? whole.subarray(0, -2) : all;
    let before = 0;
    for (let size = 0; size < bytes.length; size += 1) {
      const needed = neededBytes(layout, Buffer.concat([hex('ff'), bytes]), 1, 1 + size);
      t.true(needed > size && needed <= bytes.length && needed >= before, `${needed} for ${size} bytes`);
      before = needed;
    }
    t.is(neededBytes(layout, Buffer.concat([bytes, hex('ffff')]), 0, bytes.length + 2), bytes.length);
  }
  t.is(neededBytes(item, hex(''), 0, 0), 10);
  for (const hostile of ['04', '01 ffff 00', '00 ff'])
    t.is(
      codeOf(() => neededBytes(listed, hex(hostile), 0, hex(hostile).length)),
      'MR_ERR_WIRE_LONG',
      hostile,
    );
});

test('fixedString: ends at the first NUL within the field, whatever follows it', (t) => {
  const fixed = struct('fixed', [
    ['name', fixedString(5, { max: 3 }), ''],
    ['next', u8, ''],
  ]);
  t.deepEqual(fixed.decode(hex('6162006300 09')), { name: 'ab', next: 9 });
  t.is(
    codeOf(() => fixed.decode(hex('6161616161 00'))),
    'MR_ERR_WIRE_STRING',
  );
  t.is(
    codeOf(() => fixed.decode(hex('6161616100 00'))),
    'MR_ERR_WIRE_LONG',
  );
  t.is(
    codeOf(() => fixed.decode(hex('ff00000000 00'))),
    'MR_ERR_WIRE_STRING',
  );
  t.is(
    codeOf(() => fixed.encode({ name: 'abcd', next: 0 })),
    'MR_ERR_WIRE_LONG',
  );
});

test('list: a count that its bytes cannot hold, or above the ceiling, is refused before the list is made', (t) => {
  const many = struct('many', [
    ['count', u32, ''],
    ['items', list('count', item, { max: 4_000_000_000 }), ''],
  ]);
  const before = process.memoryUsage().heapUsed;
  t.is(
    codeOf(() => many.decode(hex('ee6b2800 00'))),
    'MR_ERR_WIRE_SHORT',
  );
  t.true(process.memoryUsage().heapUsed - before < 8_000_000);
  const few = Buffer.concat([hex('00000004'), Buffer.alloc(40)]);
  t.is(many.decode(few).items.length, 4);
  const capped = struct('capped', [
    ['count', u32, ''],
    ['items', list('count', item, { max: 3 }), ''],
  ]);
  t.is(
    codeOf(() => capped.decode(few)),
    'MR_ERR_WIRE_LONG',
  );
  t.is(
    codeOf(() => capped.encode({ items: many.decode(few).items })),
    'MR_ERR_WIRE_LONG',
  );
});

test('list: elements of different sizes follow each other, and so does the field behind them', (t) => {
  const names = struct('names', [
    ['count', u8, ''],
    ['entries', list('count', named, { max: 9 }), ''],
    ['after', u16, ''],
  ]);
  const bytesOf = hex('02 00000002 6100 00000003 626200 0007');
  t.deepEqual(names.decode(bytesOf), { entries: [{ name: 'a' }, { name: 'bb' }], after: 7 });
  t.deepEqual(names.encode({ entries: [{ name: 'a' }, { name: 'bb' }], after: 7 }), bytesOf);
});

test('struct: refuses to write what does not fit', (t) => {
  t.is(
    codeOf(() => item.encode({ id: -1n, size: 0 })),
    'MR_ERR_WIRE_RANGE',
  );
  t.is(
    codeOf(() => item.encode({ id: 2n ** 64n, size: 0 })),
    'MR_ERR_WIRE_RANGE',
  );
  t.is(
    codeOf(() => item.encode({ id: 0n, size: 65_536 })),
    'MR_ERR_WIRE_RANGE',
  );
  t.is(
    codeOf(() => item.encode({ id: 0n, size: 0.5 })),
    'MR_ERR_WIRE_RANGE',
  );
  t.is(
    codeOf(() => everything.encode({ ...value, uuid: Buffer.alloc(3) })),
    'MR_ERR_WIRE_SHORT',
  );
  t.is(
    codeOf(() => everything.encode({ ...value, uuid: Buffer.alloc(5) })),
    'MR_ERR_WIRE_LONG',
  );
  t.is(
    codeOf(() => everything.encode({ ...value, name: 'a\0b' })),
    'MR_ERR_WIRE_STRING',
  );
  t.is(
    codeOf(() => everything.encode({ ...value, when: 2n ** 63n })),
    'MR_ERR_WIRE_RANGE',
  );
});

test('struct: byte fields are views of the input, not copies', (t) => {
  const input = Buffer.from(whole);
  const { uuid } = everything.decode(input);
  input[25] = 0x55;
  t.is(uuid[0], 0x55);
});

test('struct: a declaration that the generated code could not trust is refused', (t) => {
  const refused = (fields: Parameters<typeof struct>[1]): void => {
    t.throws(() => struct('bad', fields), { name: 'AssertionError' });
  };
  refused([['a; process.exit()', u8, '']]);
  refused([['__proto__', u8, '']]);
  refused([
    ['a', u8, ''],
    ['a', u8, ''],
  ]);
  refused([['name', sizedString('length', { max: 1 }), '']]);
  refused([
    ['all', rest, ''],
    ['more', u8, ''],
  ]);
  t.throws(() => list('n', struct('open', [['all', rest, '']]), { max: 1 }), { name: 'AssertionError' });
});

test('dump: one line a field, with offset, bytes, value and unit', (t) => {
  const lines = everything.dump(whole).split('\n');
  t.is(lines[0], '0000  c0ffee00                              magic = 3237998080');
  t.is(lines[2], '0005  0003                                  nameLength = 3  bytes with NUL');
  t.is(lines[4], '0008  ffffffff ffffffff                     when = -1  s');
  t.true(lines.includes('002a  733100                                name = "s1"'));
  t.true(lines.includes('002d                                        note absent'));
});

test('dump: says what is missing of truncated bytes, and never throws', (t) => {
  for (let size = 0; size < whole.length - 2; size++)
    t.regex(everything.dump(whole.subarray(0, size)), /missing$/, `${size} bytes`);
});

test('narrow: a number exactly, or an error', (t) => {
  t.is(narrow(2n ** 53n - 1n, 'size'), Number.MAX_SAFE_INTEGER);
  t.is(narrow(-5n, 'size'), -5);
  t.is(
    codeOf(() => narrow(2n ** 53n, 'size')),
    'MR_ERR_WIRE_RANGE',
  );
});
