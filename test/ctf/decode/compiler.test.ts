import test from 'ava';
import fc from 'fast-check';
import { compileBody, compileHeader } from '../../../lib/ctf/decode/compiler.ts';
import { Cursor } from '../../../lib/ctf/decode/cursor.ts';
import { Interpreter } from '../../../lib/ctf/decode/interpreter.ts';
import type { EventLayout, StreamLayout, StructField } from '../../../lib/ctf/decode/layout.ts';
import { layoutsOf } from '../../../lib/ctf/decode/planner.ts';
import { type ScopeValues, ValuesEmitter } from '../../../lib/ctf/decode/values-emitter.ts';
import type { IntegerType } from '../../../lib/ctf/field-types.ts';
import type { TraceClass } from '../../../lib/ctf/trace-class.ts';
import { MillraceError } from '../../../lib/errors.ts';
import { FoldEmitter } from '../../../lib/viewer/skip-emitter.ts';
import { struct, traceOf } from './random-schema.ts';

interface Outcome {
  at: number;
  values: ScopeValues | undefined;
}

/** What an error is about is the same in both; its words are not. */
function outcome(run: () => Outcome): Outcome | 'refused' {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError || error instanceof MillraceError) return 'refused';
    throw error;
  }
}

function layoutOf(trace: TraceClass): { layout: StreamLayout; event: EventLayout } {
  const layout = layoutsOf(trace).get(0n) as StreamLayout;
  return { layout, event: layout.events.get(0n) as EventLayout };
}

function interpreted({ event }: { event: EventLayout }, packet: Buffer, at: number): Outcome {
  const interpreter = new Interpreter(packet);
  interpreter.bits.at = at;
  const payload = interpreter.scope('eventPayload', event.payload as StructField);
  if (interpreter.bits.at > packet.length * 8) throw new RangeError();
  return { at: interpreter.bits.at, values: { ...(payload && { eventPayload: payload }) } };
}

function compiled(
  { layout, event }: { layout: StreamLayout; event: EventLayout },
  packet: Buffer,
  at: number,
  prints: boolean,
): Outcome {
  const cursor = new Cursor(layout.sharedSlots);
  cursor.enter(packet, packet.length * 8);
  cursor.at = at;
  const values: ScopeValues = {};
  const decode = compileBody<ScopeValues>(layout, event, (code) =>
    prints ? new ValuesEmitter(code) : new FoldEmitter(code),
  );
  decode(cursor, values);
  return { at: cursor.at, values: prints ? values : undefined };
}

test('decoding: what is compiled does what the interpreter does, for any schema, packet and place', (t) => {
  let decoded = 0;
  fc.assert(
    fc.property(
      struct(2),
      fc.uint8Array({ minLength: 0, maxLength: 120 }),
      fc.integer({ min: 0, max: 70 }),
      fc.constantFrom(0, 0x0f, 0xff),
      (payload, random, at, mask) => {
        // Small numbers make lengths and tags that lead somewhere.
        const packet = Buffer.from(random.map((byte, i) => (i % 2 === 0 ? byte : byte & mask)));
        const layout = layoutOf(traceOf(payload));
        const expected = outcome(() => interpreted(layout, packet, at));
        t.deepEqual(
          outcome(() => compiled(layout, packet, at, true)),
          expected,
        );
        const folded = outcome(() => compiled(layout, packet, at, false));
        t.deepEqual(
          folded === 'refused' ? folded : folded.at,
          expected === 'refused' ? expected : expected.at,
        );
        if (expected !== 'refused') decoded += 1;
      },
    ),
    { numRuns: 600 },
  );
  t.true(decoded > 60, `only ${decoded} were decoded to the end`);
});

const byte: IntegerType = {
  kind: 'integer',
  sizeBits: 8,
  alignBits: 8,
  signed: false,
  byteOrder: 'little',
  base: 10,
};

test('decoding: partial timestamps of any size move the clock as the interpreter moves it', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1, maxLength: 8 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (sizeBits, values, start) => {
        const type: IntegerType = { ...byte, sizeBits, alignBits: 64, clock: 'c' };
        const header = { kind: 'struct' as const, members: [{ name: 'timestamp', type }], alignBits: 64 };
        const { layout } = layoutOf(traceOf({ kind: 'struct', members: [], alignBits: 1 }, header));
        const packet = Buffer.alloc(values.length * 8);
        for (const [i, value] of values.entries()) packet.writeBigUInt64LE(value, i * 8);
        const decode = compileHeader(layout, (code) => new FoldEmitter(code));
        const cursor = new Cursor(layout.sharedSlots);
        cursor.enter(packet, packet.length * 8);
        cursor.clock[0] = Number(start & 0xffff_ffffn);
        cursor.clock[1] = Number(start >> 32n);
        const interpreter = new Interpreter(packet);
        interpreter.clockCycles = start;
        for (let i = 0; i < values.length; i++) {
          decode(cursor, undefined);
          interpreter.scope('eventHeader', layout.eventHeader as StructField);
          const clock = (BigInt(cursor.clock[1] as number) << 32n) | BigInt(cursor.clock[0] as number);
          t.is(clock, interpreter.clockCycles);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('decoding: nothing from the metadata is text of a compiled function', (t) => {
  const evil = '"]; throw new Error("never"); //\n\u2028`';
  const trace = traceOf({
    kind: 'struct',
    alignBits: 8,
    members: [
      { name: '__proto__', type: byte },
      {
        name: evil,
        type: { kind: 'enum', container: byte, alignBits: 8, labels: [{ label: evil, low: 0n, high: 9n }] },
      },
      {
        name: 'constructor',
        type: { kind: 'variant', tagPath: [evil], alignBits: 1, options: [{ name: evil, type: byte }] },
      },
    ],
  });
  const { values } = compiled(layoutOf(trace), Buffer.from([1, 2, 3]), 0, true);
  t.deepEqual(Object.entries(values?.eventPayload ?? {}), [
    ['_proto__', 1],
    [evil, { value: 2, labels: [evil] }],
    ['constructor', 3],
  ]);
});
