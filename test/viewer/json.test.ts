import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { compileBody } from '../../lib/ctf/decode/compiler.ts';
import { Cursor } from '../../lib/ctf/decode/cursor.ts';
import { Interpreter } from '../../lib/ctf/decode/interpreter.ts';
import type { EventLayout, Field, StreamLayout, StructField } from '../../lib/ctf/decode/layout.ts';
import { layoutsOf } from '../../lib/ctf/decode/planner.ts';
import type { EnumValue, FieldStruct, FieldValue } from '../../lib/ctf/decode/values.ts';
import { MillraceError } from '../../lib/errors.ts';
import { type JsonEvent, JsonFormat, view } from '../../lib/viewer/index.ts';
import { JsonEmitter } from '../../lib/viewer/json/json-emitter.ts';
import { TextBuffer } from '../../lib/viewer/text/text-buffer.ts';
import { struct, traceOf } from '../ctf/decode/random-schema.ts';
import { corpusCases } from '../helpers/corpus.ts';

/** A value as docs/view.md says that it stands in JSON. */
function jsonOf(field: Field, value: FieldValue): unknown {
  switch (field.kind) {
    case 'integer': {
      const number = (plain: unknown) => (field.integer.sizeBits > 53 ? String(plain) : Number(plain));
      const { labels } = field;
      return labels === undefined
        ? number(value)
        : { value: number((value as EnumValue).value), labels: (value as EnumValue).labels };
    }
    case 'float':
      // JSON has no -0 that would come back as one.
      return Number.isFinite(value) ? (value as number) + 0 : `${value as number}`;
    case 'struct':
      return Object.fromEntries(
        field.members.map((member) => [member.name, jsonOf(member, (value as FieldStruct)[member.name])]),
      );
    case 'array':
      return (value as FieldValue[]).map((each) => jsonOf(field.element, each));
    case 'variant':
      return undefined;
    case 'optional':
      return value === undefined ? null : jsonOf(field.field, value);
    default:
      return Array.from(value as string, (char) => (/\p{Surrogate}/u.test(char) ? '\ufffd' : char)).join('');
  }
}

test('JSON: what is printed parses to what the interpreter decodes, for any schema and packet', (t) => {
  let compared = 0;
  fc.assert(
    fc.property(struct(2), fc.uint8Array({ minLength: 20, maxLength: 120 }), (payload, bytes) => {
      const layout = layoutsOf(traceOf(payload)).get(0n) as StreamLayout;
      const event = layout.events.get(0n) as EventLayout;
      const packet = Buffer.from(bytes.map((byte, i) => (i % 2 === 0 ? byte : byte & 15)));
      let expected: FieldStruct | undefined;
      try {
        const interpreter = new Interpreter(packet);
        expected = interpreter.scope('eventPayload', event.payload as StructField);
        if (interpreter.bits.at > packet.length * 8) return;
      } catch (error) {
        if (error instanceof RangeError || error instanceof MillraceError) return;
        throw error;
      }
      const out = new TextBuffer(10_000);
      const cursor = new Cursor(layout.sharedSlots);
      cursor.enter(packet, packet.length * 8);
      const parts = { head: '{"event":"e"', tail: '}', hasPacketText: false };
      compileBody<TextBuffer>(layout, event, (code) => new JsonEmitter(code, parts))(cursor, out);
      const parsed = JSON.parse(Buffer.from(out.bytes.subarray(0, out.at)).toString()) as JsonEvent;
      if (holdsVariant(event.payload as StructField)) return;
      t.deepEqual(parsed.payload, jsonOf(event.payload as StructField, expected) as JsonEvent['payload']);
      compared += 1;
    }),
    { numRuns: 400 },
  );
  t.true(compared > 40, `only ${compared} were compared`);
});

/** Its value does not say which option it is; those are compared with babeltrace2's text. */
function holdsVariant(field: Field): boolean {
  if (field.kind === 'variant') return true;
  if (field.kind === 'struct') return field.members.some(holdsVariant);
  if (field.kind === 'array') return holdsVariant(field.element);
  return field.kind === 'optional' && holdsVariant(field.field);
}

async function events(t: ExecutionContext, inputs: readonly string[]): Promise<JsonEvent[]> {
  const chunks: Buffer[] = [];
  const run = view({
    inputs,
    format: new JsonFormat(),
    write: async (lines) => void chunks.push(Buffer.from(lines)),
  });
  await t.notThrowsAsync(run);
  const lines = Buffer.concat(chunks).toString().split('\n');
  t.is(lines.pop(), '');
  return lines.map((line) => JSON.parse(line) as JsonEvent);
}

test('JSON: every event of the corpus is one line, in the order of the text, with its name', async (t) => {
  for (const each of corpusCases().filter(({ title, fails }) => title.endsWith(' default') && !fails)) {
    const parsed = await events(t, each.inputs);
    const text = each.stdout.toString('utf8').split('\n').slice(0, -1);
    t.is(parsed.length, text.length, each.title);
    const wrong = parsed.findIndex(({ event }, i) => !text[i]?.includes(event === '' ? '<unknown>' : event));
    t.is(wrong, -1, each.title);
  }
});
