import test from 'ava';
import { type Option, parseBytes, parseOptions, parseSwitch, parseWhole } from '../../cli/options.ts';
import { parseOffset } from '../../cli/view/option-table.ts';

const nothing = (): void => {};
const table: readonly Option<object>[] = [
  { name: 'group', short: 'g', argument: 'GROUP', section: '', help: '', set: nothing },
  { name: 'group-output-by-session', short: 's', section: '', help: '', family: 'by', set: nothing },
  { name: 'group-output-by-host', short: 'p', section: '', help: '', family: 'by', set: nothing },
  { name: 'verbose', short: 'v', section: '', help: '', set: nothing },
  { name: 'output', short: 'o', argument: 'DIR', section: '', help: '', set: nothing },
];

const usage = (message: RegExp) => ({ code: 'MR_ERR_USAGE', message });

function read(...argv: string[]): string[] {
  const { given, operands } = parseOptions(table, argv);
  return [...given.map(({ option, value }) => `${option.name}=${value ?? ''}`), ...operands];
}

test('a long option takes its argument glued or from the next word', (t) => {
  t.deepEqual(read('--output=/a', '--output', '/b'), ['output=/a', 'output=/b']);
  t.deepEqual(read('--output='), ['output=']);
});

test('short options are bundled, and take their argument glued or from the next word', (t) => {
  t.deepEqual(read('-vvv'), ['verbose=', 'verbose=', 'verbose=']);
  t.deepEqual(read('-vo/a', '-o', '/b'), ['verbose=', 'output=/a', 'output=/b']);
});

test('a long option is shortened as long as it is clear', (t) => {
  t.deepEqual(read('--verb', '--group-output-by-s'), ['verbose=', 'group-output-by-session=']);
  t.deepEqual(read('--group=g'), ['group=g'], 'an exact name is never ambiguous');
  t.throws(() => read('--gr=g'), usage(/--gr is ambiguous: --group, --group-output-by-session/));
});

test('operands stand anywhere, and everything behind -- is one', (t) => {
  t.deepEqual(read('x', '-v', '-', '--', '-v', '--nosuch'), ['verbose=', 'x', '-', '-v', '--nosuch']);
});

test('unknown options and arguments that are missing or too many are refused', (t) => {
  t.throws(() => read('--nosuch'), usage(/unknown option --nosuch/));
  t.throws(() => read('-vz'), usage(/unknown option -z/));
  t.throws(() => read('--output'), usage(/--output needs an argument/));
  t.throws(() => read('-o'), usage(/-o needs an argument/));
  t.throws(() => read('--verbose=1'), usage(/--verbose takes no argument/));
});

test('of a family only one option is taken, even twice the same', (t) => {
  t.throws(() => read('-p', '-s'), usage(/--group-output-by-session after --group-output-by-host/));
  t.throws(() => read('-p', '-p'), usage(/only one/));
});

test('switch words are those of LTTng', (t) => {
  for (const yes of ['yes', 'TRUE', 'on', '1', '2']) t.true(parseSwitch(yes), yes);
  for (const no of ['no', 'False', 'off', '0']) t.false(parseSwitch(no), no);
  for (const bad of ['', 'maybe', '-1', '1.5']) t.is(parseSwitch(bad), undefined, bad);
});

test('whole numbers are decimal, octal or hexadecimal, and bounded', (t) => {
  t.is(parseWhole('100', 0, 1000, 'x'), 100);
  t.is(parseWhole('0400', 0, 1000, 'x'), 256);
  t.is(parseWhole('0x100', 0, 1000, 'x'), 256);
  t.is(parseWhole('0', 0, 1000, 'x'), 0);
  for (const bad of ['', 'abc', '100x', '-1', '1e3', '08', ' 1', '0b11'])
    t.throws(() => parseWhole(bad, 0, 1000, 'x'), usage(/no whole number/), bad);
  t.throws(() => parseWhole('99', 100, 1000, 'descriptors'), usage(/between 100 and 1000 descriptors/));
});

test('clock offsets are read as babeltrace2 2.0.4 reads them', (t) => {
  for (const [text, offset] of [
    ['0', 0n],
    ['-0', 0n],
    ['00', 0n],
    ['-5', -5n],
    ['- 5', -5n],
    ['010', 8n],
    ['-010', -8n],
    ['0x10', 16n],
    ['-0X1f', -31n],
    ['0b11', 3n],
    [' 7 ', 7n],
    ['\t7', 7n],
  ] as const)
    t.is(parseOffset(text), offset, text);
  for (const bad of ['', '-', '+5', '08', '0x', '0b2', '0o17', '1 2', '1e3'])
    t.throws(() => parseOffset(bad), usage(/no whole number/), bad);
  t.throws(() => parseOffset('9'.repeat(19)), usage(/too much/));
});

test('bytes are a number, or k, M and G of it', (t) => {
  for (const [text, bytes] of [
    ['0', 0],
    ['4096', 4096],
    ['4k', 4096],
    ['4M', 4_194_304],
    ['1G', 1_073_741_824],
  ] as const)
    t.is(parseBytes(text), bytes);
  for (const text of ['', 'k', '-1', '4m', '4 M', '4MB', '1e3', '9'.repeat(13)])
    t.throws(() => parseBytes(text), { message: /no number of bytes/ }, text);
});
