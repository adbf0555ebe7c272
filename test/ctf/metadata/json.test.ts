import test from 'ava';
import { readMetadataClass } from '../../../lib/ctf/metadata/index.ts';
import { MillraceError } from '../../../lib/errors.ts';

const preamble = { type: 'preamble', version: 2, uuid: Array.from({ length: 16 }, (_, i) => i) };
const u32 = { type: 'fixed-length-unsigned-integer', length: 32, 'byte-order': 'big-endian', alignment: 32 };

function read(...fragments: object[]) {
  return readMetadataClass(Buffer.from(fragments.map((each) => `\x1e${JSON.stringify(each)}\n`).join('')));
}

function stream(fieldClass: unknown, name = 'x'): object {
  const members = [{ name, 'field-class': fieldClass }];
  return {
    type: 'data-stream-class',
    'packet-context-field-class': { type: 'structure', 'member-classes': members },
  };
}

function refusal(...fragments: object[]): string {
  try {
    read(...fragments);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR_ERR_CTF_METADATA') return error.message;
    throw error;
  }
  return 'accepted';
}

test('CTF 2: roles, not names, say what a field means; aliases stand for their classes', (t) => {
  const trace = read(
    preamble,
    { type: 'field-class-alias', name: 'seq', 'field-class': { ...u32, roles: ['packet-sequence-number'] } },
    { type: 'trace-class', environment: { hostname: 'vm', tracer_major: 2 } },
    { type: 'clock-class', id: 'c', frequency: 1000 },
    stream('seq', 'packet_size'),
    { type: 'event-record-class', whatever: true },
  );
  t.is(trace.format, 'ctf-2');
  t.deepEqual(trace.uuid, Buffer.from(preamble.uuid));
  t.deepEqual(
    [...trace.environment],
    [
      ['hostname', 'vm'],
      ['tracer_major', 2n],
    ],
  );
  t.deepEqual(trace.streams.get(0n)?.packetContext, {
    kind: 'struct',
    alignBits: 32,
    members: [
      {
        name: 'packet_size',
        role: 'packetSeqNum',
        type: { kind: 'integer', sizeBits: 32, alignBits: 32, signed: false, byteOrder: 'big', base: 10 },
      },
    ],
  });
});

test('CTF 2: what is wrong or not known is said, with the line of the fragment', (t) => {
  t.regex(refusal({ type: 'trace-class' }), /line 1, column 2: no preamble at the beginning/);
  t.regex(refusal(preamble, preamble), /line 2, column 2: a second preamble/);
  t.regex(refusal(preamble, { type: 'novelty' }), /fragments of type "novelty" are not known/);
  t.regex(refusal({ ...preamble, extensions: { x: {} } }), /extensions "x" are not known/);
  t.regex(refusal(preamble, stream('nothing')), /alias "nothing" is not declared/);
  t.regex(refusal(preamble, stream({ ...u32, length: 65 })), /length is "65"/);
  t.regex(refusal(preamble, stream({ ...u32, alignment: 3 })), /alignment 3 is no power of two/);
  t.regex(refusal(preamble, stream({ ...u32, 'bit-order': 'first-to-last' })), /bits in an order/);
  t.regex(refusal(preamble, stream({ type: 'novelty' })), /field class "novelty" is not known/);
  t.regex(
    refusal(
      preamble,
      stream({ ...u32, type: 'fixed-length-signed-integer', roles: ['packet-total-length'] }),
    ),
    /has not the type that its role needs/,
  );
  t.regex(refusal(preamble, stream(u32), { type: 'trace-class' }), /not before the streams/);
});
