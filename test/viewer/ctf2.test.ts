/** CTF 2 beyond what LTTng writes of it: every field class, in bytes written by hand. Source: CTF2-SPEC-2.0, "Field classes". */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { JsonFormat, view } from '../../lib/viewer/index.ts';
import { viewText } from '../helpers/view.ts';

const u8 = { type: 'fixed-length-unsigned-integer', length: 8, 'byte-order': 'little-endian', alignment: 8 };
const truth = { type: 'fixed-length-boolean', length: 8, 'byte-order': 'little-endian', alignment: 8 };
const at = (...path: string[]) => ({ origin: 'event-record-payload', path });

/** Name, class, bytes, text, JSON. */
const fields: readonly (readonly [string, object, string, string, unknown])[] = [
  ['bits', { ...u8, type: 'fixed-length-bit-array' }, 'a5', '0xA5', 165],
  ['map', { ...u8, type: 'fixed-length-bit-map', flags: { low: [[0, 0]] } }, '03', '0x3', 3],
  ['yes', truth, '02', 'true', true],
  // The examples of LEB128 that everybody uses: 624485 and -123456.
  ['wide', { type: 'variable-length-unsigned-integer' }, 'e58e26', '624485', '624485'],
  ['deep', { type: 'variable-length-signed-integer' }, 'c0bb78', '-123456', '-123456'],
  [
    'half',
    { type: 'fixed-length-floating-point-number', length: 16, 'byte-order': 'little-endian', alignment: 8 },
    '0035',
    '0.3125',
    0.3125,
  ],
  ['utf16', { type: 'null-terminated-string', encoding: 'utf-16le' }, '6800e9000000', '"hé"', 'hé'],
  [
    'utf32',
    { type: 'static-length-string', length: 8, encoding: 'utf-32be' },
    '0000004100000000',
    '"A"',
    'A',
  ],
  ['fixed', { type: 'static-length-blob', length: 2 }, 'beef', '[ [0] = 0xBE, [1] = 0xEF ]', [190, 239]],
  ['n', u8, '02', '2', 2],
  [
    'blob',
    { type: 'dynamic-length-blob', 'length-field-location': at('n') },
    'dead',
    '[ [0] = 0xDE, [1] = 0xAD ]',
    [222, 173],
  ],
  ['text', { type: 'dynamic-length-string', 'length-field-location': at('n') }, '6f6b', '"ok"', 'ok'],
  [
    'list',
    { type: 'dynamic-length-array', 'length-field-location': at('n'), 'element-field-class': u8 },
    '0102',
    '[ [0] = 1, [1] = 2 ]',
    [1, 2],
  ],
  [
    'pair',
    { type: 'static-length-array', length: 2, 'element-field-class': u8 },
    '0304',
    '[ [0] = 3, [1] = 4 ]',
    [3, 4],
  ],
  ['has', truth, '01', 'true', true],
  ['given', { type: 'optional', 'field-class': u8, 'selector-field-location': at('has') }, '07', '7', 7],
  [
    'missing',
    {
      type: 'optional',
      'field-class': u8,
      'selector-field-location': at('n'),
      'selector-field-ranges': [[9, 10]],
    },
    '',
    '{ }',
    null,
  ],
  [
    'choice',
    {
      type: 'variant',
      'selector-field-location': at('n'),
      options: [
        { name: 'a', 'field-class': u8, 'selector-field-ranges': [[0, 1]] },
        {
          name: 'b',
          'field-class': { type: 'null-terminated-string' },
          'selector-field-ranges': [
            [2, 2],
            [5, 6],
          ],
        },
      ],
    },
    '627900',
    '{ "by" }',
    'by',
  ],
  [
    'label',
    {
      ...u8,
      mappings: {
        one: [[1, 1]],
        few: [
          [1, 3],
          [7, 7],
        ],
      },
    },
    '01',
    '( "one", "few" : container = 1 )',
    { value: 1, labels: ['one', 'few'] },
  ],
  ['empty', { type: 'structure' }, '', '{ }', {}],
];

function traceOf(): string {
  const members = fields.map(([name, fieldClass]) => ({ name, 'field-class': fieldClass }));
  const fragments = [
    { type: 'preamble', version: 2 },
    { type: 'trace-class', environment: { hostname: 'host' } },
    { type: 'data-stream-class' },
    {
      type: 'event-record-class',
      name: 'all',
      'payload-field-class': { type: 'structure', 'member-classes': members },
    },
  ];
  const root = mkdtempSync(join(tmpdir(), 'millrace-ctf2-'));
  mkdirSync(join(root, 'trace'));
  writeFileSync(
    join(root, 'trace/metadata'),
    fragments.map((each) => `\x1e${JSON.stringify(each)}\n`).join(''),
  );
  writeFileSync(join(root, 'trace/data'), Buffer.from(fields.map(([, , bytes]) => bytes).join(''), 'hex'));
  return root;
}

test('CTF 2: every field class is printed as text', async (t) => {
  const trace = traceOf();
  t.teardown(() => rmSync(trace, { recursive: true }));
  const { text, error } = await viewText([trace]);
  t.is(error, undefined);
  const shown = fields.map(([name, , , form]) => `${name} = ${form}`).join(', ');
  t.is(Buffer.from(text, 'latin1').toString(), `host all: { ${shown} }\n`);
});

test('CTF 2: every field class is printed as JSON', async (t) => {
  const trace = traceOf();
  t.teardown(() => rmSync(trace, { recursive: true }));
  let lines = '';
  const write = async (bytes: Uint8Array) => {
    lines += Buffer.from(bytes).toString();
  };
  await view({ inputs: [trace], format: new JsonFormat(), write });
  const { payload } = JSON.parse(lines);
  t.deepEqual(payload, Object.fromEntries(fields.map(([name, , , , value]) => [name, value])));
});
