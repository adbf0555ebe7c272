import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { limits } from '../../lib/limits.ts';
import { viewText } from '../helpers/view.ts';

const base = `/* CTF 1.8 */
typealias integer { size = 8; align = 8; } := u8;
typealias integer { size = 64; align = 8; } := u64;
trace { major = 1; minor = 8; byte_order = le; };
`;

/** A trace of one file. `metadata`: behind the usual beginning. */
function traceOf(t: ExecutionContext, metadata: string, data: Buffer): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-view-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, 'trace'));
  writeFileSync(join(directory, 'trace/metadata'), base + metadata);
  writeFileSync(join(directory, 'trace/data'), data);
  return directory;
}

function u64(...values: bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(value, i * 8);
  return bytes;
}

const sizes = 'packet.context := struct { u64 packet_size; u64 content_size; };';
const packet = (content: Buffer) =>
  Buffer.concat([u64(BigInt(content.length + 16) * 8n, BigInt(content.length + 16) * 8n), content]);

const sins: Record<string, { metadata: string; data: Buffer; printed?: string; error: RegExp }> = {
  'a sequence of 2^60 elements': {
    metadata: `stream { ${sizes} }; event { name = e; fields := struct { u64 n; u8 x[n]; }; };`,
    data: packet(Buffer.concat([u64(1n), Buffer.of(7), u64(2n ** 60n), Buffer.alloc(7)])),
    printed: 'e: { n = 1, x = [ [0] = 7 ] }\n',
    error: /data: packet at byte 0: event at bit \d+ of its packet: .* bits or more/,
  },
  'a sequence of 2^60 elements that take no bits': {
    metadata: `stream { ${sizes} }; event { name = e; fields := struct { u64 n; struct { } x[n]; }; };`,
    data: packet(u64(2n ** 60n)),
    error: /too many elements that take no bits/,
  },
  'an array of arrays of nothing': {
    metadata: `stream { ${sizes} }; event { name = e; fields := struct { u8 a; struct { } x[60000][60000]; }; };`,
    data: packet(Buffer.alloc(8)),
    error: /too many elements that take no bits/,
  },
  'a packet size of 2^63': {
    metadata: `stream { ${sizes} }; event { name = e; fields := struct { u8 a; }; };`,
    data: u64(2n ** 63n, 64n),
    error: /data: packet at byte 0: .*of which the file holds 16/,
  },
  'events of no bits': {
    metadata: `stream { ${sizes} }; event { name = e; fields := struct { }; };`,
    data: packet(Buffer.alloc(8)),
    printed: 'e: { }\n',
    error: /an event of no bits at bit 128, which never ends/,
  },
  'ten thousand structures in each other': {
    metadata: `struct s { ${'struct { '.repeat(10_000)} u8 a; ${'} x; '.repeat(10_000)} };`,
    data: Buffer.alloc(8),
    error: /metadata: metadata, line \d+, column \d+: nested deeper than 128/,
  },
  'a type defined by itself': {
    metadata: 'typedef a b; typedef b a;',
    data: Buffer.alloc(8),
    error: /line \d+, column \d+: type "a" is not declared/,
  },
  'types that double with every name': {
    metadata: `struct s0 { u8 x; }; ${Array.from({ length: 60 }, (_, i) => `struct s${i + 1} { struct s${i} a, b; };`).join(' ')}
      stream { }; event { name = e; fields := struct { struct s60 x; }; };`,
    data: Buffer.alloc(8),
    error: new RegExp(`more than ${limits.layoutFields} fields`),
  },
  'a length that is nowhere': {
    metadata: 'stream { }; event { name = "e"; fields := struct { u8 x[y]; }; };',
    data: Buffer.alloc(8),
    error: /metadata, stream 0, event "e", eventPayload: no integer "y" before a length/,
  },
  'a string without end': {
    metadata: `stream { ${sizes} }; event { name = e; fields := struct { string s; }; };`,
    data: packet(Buffer.from('ab\0cdef')),
    printed: 'e: { s = "ab" }\n',
    error: /it goes beyond bit \d+, the packet's end/,
  },
};

for (const [what, { metadata, data, printed = '', error }] of Object.entries(sins))
  test(`hostile trace: ${what}: what comes before is printed, then one clear error, soon`, async (t) => {
    const began = performance.now();
    const { text, error: got } = await viewText([traceOf(t, metadata, data)]);
    t.true(performance.now() - began < 5000);
    t.is(text, printed);
    t.true(got instanceof MillraceError);
    t.regex((got as Error).message, error);
  });

test('hostile trace: a file that ends inside an event of a packet without sizes just ends', async (t) => {
  const directory = traceOf(
    t,
    'stream { }; event { name = e; fields := struct { u64 a; }; };',
    Buffer.concat([u64(5n), Buffer.alloc(3)]),
  );
  t.deepEqual(await viewText([directory]), { text: 'e: { a = 5 }\n', error: undefined });
});
