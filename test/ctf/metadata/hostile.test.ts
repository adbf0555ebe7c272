import test from 'ava';
import fc from 'fast-check';
import { readMetadataClass } from '../../../lib/ctf/metadata/index.ts';
import { MillraceError } from '../../../lib/errors.ts';

const start = 'trace { major = 1; minor = 8; byte_order = le; };';

/** Milliseconds that a million bytes of anything may take: ten times what they take on a slow machine. */
const patienceMs = 5000;

function outcomeOf(text: string | Buffer): string {
  try {
    readMetadataClass(Buffer.from(text));
    return 'accepted';
  } catch (error) {
    if (error instanceof MillraceError) return error.message;
    throw error;
  }
}

const million = 1_000_000;
const hostile: Record<string, [string, RegExp]> = {
  'structures in structures': [`${start}${'struct { '.repeat(million / 10)}`, /nested deeper than 128/],
  'variants in variants': [
    `${start}struct s { ${'variant <t> { '.repeat(million / 10)}`,
    /nested deeper than 128/,
  ],
  'containers in containers': [
    `${start}struct s { ${'enum : '.repeat(million / 10)}`,
    /nested deeper than 128/,
  ],
  parentheses: [`${start}env { x = ${'('.repeat(million)}`, /nested deeper than 128/],
  'arrays of arrays': [
    `${start}struct s { integer { size = 8; } x${'[1]'.repeat(million / 10)}; };`,
    /nested deeper/,
  ],
  'a comment without end': [`${start}/*${' *'.repeat(million / 2)}`, /a comment that does not end/],
  'a million comments': [`${start}${'/**/'.repeat(million / 4)}!`, /unexpected "!"/],
  'a long string': [`${start}env { x = "${'y'.repeat(million)}"; };`, /at most 65536 are read/],
  'a long word': [`${start}env { ${'y'.repeat(million)} = 1; };`, /at most 65536 are read/],
  'a long number': [`${start}env { x = ${'9'.repeat(million)}; };`, /at most 65536 are read/],
  'a number of a hundred digits': [`${start}env { x = ${'9'.repeat(99)}; };`, /does not fit into 64 bits/],
  'many blocks': [`${start}${'stream { };'.repeat(million / 10)}`, /a second stream of id 0/],
  'many pointers': [`${start}struct s { x ${'*'.repeat(million)} y; };`, /is not declared/],
  'many small entries': [`${start}env { ${'a=1;'.repeat(million)} };`, /more than 2000000 words and signs/],
  'many small declarations': [
    `${start}${'typedef a b;'.repeat(million)}`,
    /more than 2000000 words and signs/,
  ],
  'one large event': [`${start}event { ${'a=1;'.repeat(million)} };`, /more than 2000000 words and signs/],
  'a large JSON object': [`\x1e{"type":[${'[],'.repeat(2 * million)}`, /at most 4194304 are read/],
  'many JSON objects': [
    `\x1e{"type":"preamble","version":2}${Array.from({ length: 20 }, (_, i) => `\x1e{"type":"field-class-alias","name":"${i}","field-class":{"x":"${'x'.repeat(million)}"}}`).join('')}`,
    /more than 16777216 bytes/,
  ],
  'JSON in JSON': [`\x1e${'['.repeat(million)}`, /nested deeper than 512/],
  'JSON cut short': ['\x1e{"type":', /line 1, column 2/],
  'JSON of another version': ['\x1e{"type":"preamble","version":3}', /only 2 is known/],
};

for (const [what, [text, expected]] of Object.entries(hostile))
  test(`hostile metadata: ${what}: one clear error, soon`, (t) => {
    const began = performance.now();
    const message = outcomeOf(text);
    t.true(performance.now() - began < patienceMs);
    t.regex(message, expected);
    t.true(message.length < 600);
  });

test('hostile metadata: any number of events may be declared', (t) => {
  t.is(outcomeOf(`${start}${'event { name = a; };'.repeat(million / 2)}`), 'accepted');
});

test('hostile metadata: types that double with every name cost nothing', (t) => {
  const doublings = Array.from(
    { length: 100 },
    (_, i) => `struct s${i + 1} { struct s${i} a; struct s${i} b; };`,
  );
  const text = `${start}struct s0 { };${doublings.join('')}stream { packet.context := struct { struct s100 x; }; };`;
  t.is(outcomeOf(text), 'accepted');
});

test('hostile metadata: anything at all gives a result or an error with a code', (t) => {
  const words = fc.constantFrom(
    ...'trace stream struct variant enum integer typedef typealias env { } ; := = : < > [ ] ( ) , . ... 1 -1 x "s" size align string const *'.split(
      ' ',
    ),
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 60 }), (list) => {
      outcomeOf(`${start}${list.join(' ')}`);
    }),
    { numRuns: 2000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void outcomeOf(Buffer.from(bytes))));
  t.pass();
});
