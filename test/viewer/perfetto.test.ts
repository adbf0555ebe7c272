import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type protobuf from 'protobufjs';
import { main } from '../../cli/main.ts';
import { directorySource } from '../../lib/consumer/index.ts';
import { limits } from '../../lib/limits.ts';
import { type FrameBatch, releaseBatch } from '../../lib/stage/batch.ts';
import { type JsonEvent, JsonFormat, LiveView, PerfettoFormat, view } from '../../lib/viewer/index.ts';
import { ProtoWriter } from '../../lib/viewer/perfetto/proto-writer.ts';
import { sliceRoleOf, sliceRules } from '../../lib/viewer/perfetto/rules.ts';
import { type MessageSchema, perfettoSchema } from '../../lib/viewer/perfetto/schema.ts';
import { SliceStack } from '../../lib/viewer/perfetto/slice-stack.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { fixture } from '../helpers/traces.ts';
import { viewMutations } from './mutations.ts';
import { published, type ReadEvent, readEvents, readPackets } from './perfetto-reader.ts';

async function printed(inputs: readonly string[], format: PerfettoFormat | JsonFormat): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await view({ inputs, format, write: async (bytes) => void chunks.push(Buffer.from(bytes)) });
  return Buffer.concat(chunks);
}

async function eventsOf(...inputs: string[]): Promise<ReadEvent[]> {
  return readEvents(readPackets(await printed(inputs, new PerfettoFormat())));
}

/** Names that ours has for what are several messages, or a message inside one, in the published schema. */
const publishedNames: Readonly<Record<string, readonly string[]>> = {
  Clock: ['ClockSnapshot.Clock'],
  InternedName: ['EventCategory', 'EventName', 'DebugAnnotationName'],
};

test('every field has the number and the type of the published schema', (t) => {
  for (const [message, fields] of Object.entries<MessageSchema>(perfettoSchema))
    for (const name of publishedNames[message] ?? [message]) {
      const type = published.lookupType(`perfetto.protos.${name}`);
      for (const [field, [number, kind]] of Object.entries(fields)) {
        const known = type.fields[field]?.resolve() as protobuf.Field;
        t.is(known.id, number, `${name}.${field}`);
        const resolved = known.resolvedType;
        const isEnum = resolved !== null && !('fields' in resolved);
        const expected = publishedNames[kind]?.map((each) => each.split('.').at(-1)) ?? [kind];
        t.true(expected.includes(isEnum ? 'uint32' : (resolved?.name ?? known.type)), `${name}.${field}`);
      }
    }
});

test('a message is what its decoder reads again, whatever its size', (t) => {
  for (const size of [0, 1, 100, 127, 128, 129, 16_383, 16_384, 3_000_000]) {
    const writer = new ProtoWriter();
    const stringValue = 'é'.repeat(size);
    const annotation = { dictEntries: [{ stringValue }, { intValue: -1 }, { uintValue: 2n ** 64n - 1n }] };
    writer.message(1, 'TracePacket', {
      timestamp: 2 ** 53 - 1,
      trackEvent: { debugAnnotations: [annotation] },
    });
    const [packet] = readPackets(writer.bytes.subarray(0, writer.at));
    t.is(packet?.timestamp, String(2 ** 53 - 1));
    const [read] = packet?.trackEvent?.debugAnnotations ?? [];
    const [text, negative, large] = read?.dictEntries ?? [];
    t.true(text?.stringValue === stringValue);
    t.is(negative?.intValue, '-1');
    t.is(large?.uintValue, '18446744073709551615');
  }
});

test('an event of more bytes than an event may have is refused before memory is taken', (t) => {
  const writer = new ProtoWriter();
  const stringValue = 'x'.repeat(limits.eventTextBytes);
  t.throws(() => writer.message(1, 'DebugAnnotation', { stringValue }), { code: 'MR_ERR_CTF_PACKET' });
});

test('rules say which events begin and end slices, and what these are called', (t) => {
  const cases: [string, string | undefined, string?][] = [
    ['work:begin', 'begin', 'work'],
    ['work:end', 'end', 'work'],
    ['syscall_entry_openat', 'begin', 'openat'],
    ['syscall_exit_openat', 'end', 'openat'],
    ['compat_syscall_entry_read', 'begin', 'read'],
    ['irq_handler_entry', 'begin', 'irq_handler'],
    ['app:parse_entry', 'begin', 'app:parse'],
    ['app:parse_exit', 'end', 'app:parse'],
    ['mm_vmscan_kswapd_begin', 'begin', 'mm_vmscan_kswapd'],
    ['lttng_ust_cyg_profile:func_entry', 'begin', 'function'],
    ['lttng_ust_cyg_profile_fast:func_exit', 'end', 'function'],
    [':begin', undefined],
    ['_entry', undefined],
    ['syscall_entry_', undefined],
    ['sched_switch', undefined],
    ['', undefined],
  ];
  for (const [event, edge, name] of cases) {
    const role = sliceRoleOf(event);
    t.is(role?.edge, edge as 'begin' | 'end' | undefined, event);
    t.is(role?.name, name, event);
  }
  t.is(sliceRoleOf('a_entry')?.key, sliceRoleOf('a_exit')?.key);
  t.not(sliceRoleOf('a_entry')?.key, sliceRoleOf('b_exit')?.key);
  t.not(sliceRoleOf('a_entry')?.key, sliceRoleOf('a_end')?.key);
});

test('the table of rules in the documentation is the one in the code', (t) => {
  const rows = sliceRules.map(
    ({ begin, end, field }) =>
      `| \`${begin}\` | \`${end}\` | ${field === undefined ? '`*`' : `its field \`${field}\``} |`,
  );
  t.true(readFileSync(join(fixture('..'), 'docs/view.md'), 'utf8').includes(rows.join('\n')));
});

test('an end ends its own slice and those above it that never ended', (t) => {
  const stack = new SliceStack();
  t.is(stack.end('a', undefined), 0);
  t.true(stack.begin('a', undefined));
  t.true(stack.begin('f', '0x1'));
  t.true(stack.begin('f', '0x2'));
  t.is(stack.end('f', '0x3'), 0);
  t.is(stack.end('f', '0x1'), 2);
  t.true(stack.begin('f', '0x4'));
  t.is(stack.end('f', undefined), 1);
  t.is(stack.end('a', undefined), 1);
  t.is(stack.end('a', undefined), 0);
  for (let i = 0; i < limits.perfettoSliceDepth; i++) t.true(stack.begin('a', undefined));
  t.false(stack.begin('a', undefined));
});

test('a trace of LTTng: its events, times and fields, on threads of their processes', async (t) => {
  const inputs = [fixture('corpus/ust-contexts/trace')];
  const bytes = await printed(inputs, new PerfettoFormat());
  const packets = readPackets(bytes);
  t.like(packets[0], { sequenceFlags: 1, firstPacketOnSequence: true });
  t.deepEqual(
    packets[0]?.clockSnapshot?.clocks.map(({ clockId }) => clockId),
    [6, 1],
  );
  t.true(packets.every(({ trustedPacketSequenceId }) => trustedPacketSequenceId === 1));
  const events = readEvents(packets);
  const json = (await printed(inputs, new JsonFormat())).toString().trim().split('\n');
  t.is(events.length, json.length);
  for (const [i, event] of events.entries()) {
    const expected = JSON.parse(json[i] as string) as JsonEvent;
    const { vpid, vtid, procname } = expected.streamContext as Record<string, string>;
    t.is(event.at, BigInt((expected.time as string).replace('.', '')));
    t.regex(
      event.track,
      new RegExp(`^process ${vpid} .* \\(tracehost\\) / thread ${vpid} ${vtid} ${procname}$`),
    );
    t.deepEqual(
      plain(Object.keys(expected.payload ?? {}).map((name) => event.fields[name])),
      plain(Object.values(expected.payload ?? {})),
    );
    if (event.type !== 'SLICE_END') {
      t.is(event.category, 'work');
      t.deepEqual(plain(event.fields.packetContext), plain(expected.packetContext));
    }
    const [provider, name] = expected.event.split(':');
    const type = { begin: 'SLICE_BEGIN', end: 'SLICE_END' }[name as string] ?? 'INSTANT';
    t.is(event.type, type);
    if (type !== 'SLICE_END') t.is(event.name, type === 'INSTANT' ? expected.event : provider);
  }
});

/** Integers of all widths alike. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_key, each) =>
    typeof each === 'bigint' || typeof each === 'number' ? String(each) : each,
  );
}

test('every trace of the fixtures is one that refers to nothing undefined, in the order of time', async (t) => {
  for (const name of [
    'synth-nested',
    'synth-text',
    'synth-enums',
    'synth-ties',
    'synth-negative-time',
    'synth-noclock',
  ])
    for (const event of await eventsOf(fixture(`corpus/${name}`))) t.true(event.at >= 0n, name);
  const two = await eventsOf(fixture('corpus/ust-contexts'), fixture('corpus/ust-live'));
  t.true(two.length > 0);
  for (const [i, { at }] of two.entries()) t.true(i === 0 || at >= (two[i - 1] as ReadEvent).at);
});

test('what was lost is a slice of a track of its stream, as long as nobody knows when', async (t) => {
  const input = fixture('corpus/ust-discarded');
  const losses: string[] = [];
  const bytes: Buffer[] = [];
  await view({
    inputs: [input],
    format: new PerfettoFormat(),
    write: async (chunk) => void bytes.push(Buffer.from(chunk)),
    lost: ({ count, range }) => {
      const ns = ({ seconds, nanos } = { seconds: 0, nanos: 0 }) =>
        BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
      losses.push(`lost ${count} events ${ns(range?.begin)} ${ns(range?.end)}`);
    },
  });
  const read = readEvents(readPackets(Buffer.concat(bytes))).filter(({ track }) => track.includes('lost of'));
  t.true(losses.length > 0);
  const [first] = read;
  t.regex(first?.track ?? '', /^tracehost.* \/ lost of \w+_\d+$/);
  t.deepEqual(
    losses,
    losses.map((_, i) => `${read[2 * i]?.name} ${read[2 * i]?.at} ${read[2 * i + 1]?.at}`),
  );
  t.is(read.length, losses.length * 2);
});

const base = `/* CTF 1.8 */
typealias integer { size = 8; align = 8; } := u8;
typealias integer { size = 32; align = 8; } := u32;
typealias integer { size = 64; align = 8; } := u64;
trace { major = 1; minor = 8; byte_order = le; };
clock { name = c; absolute = true; };
typealias integer { size = 64; align = 8; map = clock.c.value; } := time;
`;

interface Described {
  /** Declarations of `env`, of the event context's fields, and of events. */
  env?: string;
  context?: string;
  events: string;
}

/** A trace of one packet on CPU 7. */
function traceOf(t: ExecutionContext, { env = '', context = '', events }: Described, data: Buffer[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-perfetto-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const content = Buffer.concat(data);
  const head = Buffer.alloc(20);
  const bits = BigInt(head.length + content.length) * 8n;
  head.writeBigUInt64LE(bits, 0);
  head.writeBigUInt64LE(bits, 8);
  head.writeUInt32LE(7, 16);
  const stream = `env { ${env} };
stream { packet.context := struct { u64 packet_size; u64 content_size; u32 cpu_id; };
  event.header := struct { u8 id; time timestamp; }; event.context := struct { ${context} }; };
${events}`;
  writeFileSync(join(directory, 'metadata'), Buffer.from(base + stream, 'latin1'));
  writeFileSync(join(directory, 'data'), Buffer.concat([head, content]));
  return directory;
}

/** An event's bytes: its header, and what is behind it. */
function event(id: number, ns: number, ...body: Buffer[]): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt8(id, 0);
  head.writeBigUInt64LE(BigInt(ns), 1);
  return Buffer.concat([head, ...body]);
}

const u8 = (value: number) => Buffer.of(value);

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

test('without a process, events stand on the CPU; an end without beginning is an instant, a slice without end ends with the one around it', async (t) => {
  const events = `
event { id = 0; name = "irq_entry"; fields := struct { u8 irq; }; };
event { id = 1; name = "irq_exit"; fields := struct { u8 ret; }; };
event { id = 2; name = "lttng_ust_cyg_profile:func_entry"; fields := struct { u8 addr; }; };
event { id = 3; name = "lttng_ust_cyg_profile:func_exit"; fields := struct { u8 addr; }; };`;
  const trace = traceOf(t, { env: 'hostname = "host";', events }, [
    event(1, 10, u8(1)),
    event(0, 20, u8(5)),
    event(2, 30, u8(0xa0)),
    event(2, 40, u8(0xb0)),
    event(3, 50, u8(0xb0)),
    event(1, 60, u8(2)),
    event(0, 70, u8(6)),
  ]);
  const read = await eventsOf(trace);
  for (const { track } of read) t.regex(track, /^host.* \/ CPU 7$/);
  t.deepEqual(
    read.map(({ at, type, name }) => [Number(at), type, name]),
    [
      [10, 'INSTANT', 'irq_exit'],
      [20, 'SLICE_BEGIN', 'irq'],
      [30, 'SLICE_BEGIN', '0xa0'],
      [40, 'SLICE_BEGIN', '0xb0'],
      [50, 'SLICE_END', undefined],
      [60, 'SLICE_END', undefined],
      [60, 'SLICE_END', undefined],
      [70, 'SLICE_BEGIN', 'irq'],
    ],
  );
  t.deepEqual(read.at(-2)?.fields, { ret: 2n });
});

test('what runs on a CPU is a slice from one sched_switch to the next; thread 0 is the CPU at rest', async (t) => {
  const events = `
event { id = 0; name = "sched_switch"; fields := struct { string next_comm; u32 next_tid; }; };`;
  const next = (name: string, tid: number) => Buffer.concat([Buffer.from(`${name}\0`), u32(tid)]);
  const trace = traceOf(t, { events }, [
    event(0, 10, next('init', 1)),
    event(0, 20, next('swapper/7', 0)),
    event(0, 30, next('cat', 42)),
  ]);
  const read = await eventsOf(trace);
  t.deepEqual(
    read.map(({ at, type, name, track }) => [Number(at), type, name, track.split(' / ').slice(1).join()]),
    [
      [10, 'SLICE_BEGIN', 'init 1', 'CPU 7,running'],
      [10, 'INSTANT', 'sched_switch', 'CPU 7'],
      [20, 'SLICE_END', undefined, 'CPU 7,running'],
      [20, 'INSTANT', 'sched_switch', 'CPU 7'],
      [30, 'SLICE_BEGIN', 'cat 42', 'CPU 7,running'],
      [30, 'INSTANT', 'sched_switch', 'CPU 7'],
    ],
  );
});

const events = 'event { id = 0; name = "e"; fields := struct { u8 x; }; };';

test('processes of one id on two hosts are two processes', async (t) => {
  const env = (host: string) => `hostname = "${host}"; vpid = 9; procname = "app";`;
  const one = traceOf(t, { env: env('one'), events }, [event(0, 1, u8(1))]);
  const two = traceOf(t, { env: env('two'), events }, [event(0, 2, u8(1))]);
  t.deepEqual(
    (await eventsOf(one, two)).map(({ track }) => track).sort(),
    ['process 4194313', 'process 9'].map((each, i) => `${each} app (${i === 0 ? 'two' : 'one'}) / CPU 7`),
  );
});

const context = 'u32 vpid; u32 vtid; string procname;';
const thread = (tid: number, name: string) => Buffer.concat([u32(30), u32(tid), Buffer.from(`${name}\0`)]);

test('a thread is described again where its name changes, and no more often; the first thread names the process', async (t) => {
  const trace = traceOf(t, { context, events }, [
    event(0, 1, thread(31, 'worker'), u8(1)),
    event(0, 2, thread(30, 'app'), u8(1)),
    event(0, 3, thread(31, 'renamed'), u8(1)),
    event(0, 4, thread(31, 'renamed'), u8(1)),
  ]);
  const packets = readPackets(await printed([trace], new PerfettoFormat()));
  t.deepEqual(
    readEvents(packets).map(({ track }) => track),
    [
      'process 30 worker / thread 30 31 worker',
      'process 30 app / thread 30 30 app',
      'process 30 app / thread 30 31 renamed',
      'process 30 app / thread 30 31 renamed',
    ],
  );
  t.is(packets.filter(({ trackDescriptor }) => trackDescriptor !== undefined).length, 5);
});

test('names of any kind come through as text', async (t) => {
  const hostile = `
event { id = 0; name = "\xff\xfe';alert(1)//\\n\${x}"; fields := struct { u8 constructor; u8 hasOwnProperty; string o; }; };`;
  const trace = traceOf(t, { context, events: hostile }, [
    event(
      0,
      1,
      u32(0xffff_ffff),
      u32(0xffff_ffff),
      Buffer.from([0xc3, 0x28, 34, 0]),
      u8(1),
      u8(2),
      u8(0x80),
      u8(0),
    ),
  ]);
  const [read] = await eventsOf(trace);
  t.is(read?.name, "\ufffd\ufffd';alert(1)//\n$" + '{x}');
  const payload = Object.entries(read?.fields ?? {}).slice(0, 3);
  t.deepEqual(payload, Object.entries({ constructor: 1n, hasOwnProperty: 2n, o: '\ufffd' }));
  t.is(read?.track, 'process -1 \ufffd(" / thread -1 -1 \ufffd("');
});

test('a trace can be read from any place where names and tracks are written again', async (t) => {
  const input = [fixture('corpus/ust-contexts')];
  const packets = readPackets(await printed(input, new PerfettoFormat(4000)));
  const all = readEvents(packets);
  t.deepEqual(all, await eventsOf(...input));
  const starts = packets.flatMap(({ sequenceFlags }, i) => (sequenceFlags === 1 ? [i] : []));
  t.true(starts.length > 3);
  for (const start of starts) {
    const rest = readEvents(packets.slice(start));
    t.deepEqual(rest, all.slice(all.length - rest.length));
  }
});

test('more threads than may be known at a time are forgotten together, and nothing refers to them', async (t) => {
  const count = limits.perfettoTracks + 10;
  const data = Array.from({ length: count }, (_, i) => event(0, i, thread(i, 'x'), u8(1)));
  const read = await eventsOf(traceOf(t, { context, events }, data));
  t.is(read.length, count);
  t.is(new Set(read.map(({ track }) => track)).size, count);
});

test('a session that is viewed as it comes has the same events on the same tracks', async (t) => {
  const path = fixture('corpus/ust-contexts/trace');
  const bytes: Buffer[] = [];
  const live = new LiveView({
    format: new PerfettoFormat(),
    write: async (chunk) => void bytes.push(Buffer.from(chunk)),
  });
  const source = directorySource({ path, locks: 'none' });
  t.teardown(() => source.destroy());
  for await (const batch of source as AsyncIterable<FrameBatch>) {
    await live.take(batch);
    releaseBatch(batch);
  }
  await live.end();
  t.deepEqual(readEvents(readPackets(Buffer.concat(bytes))), await eventsOf(path));
});

test('of a mutated trace, what was written before its error is a trace that can be read', async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-perfetto-'));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  let events = 0;
  const { refused } = await viewMutations([fixture('corpus')], scratch, 200, 1, async (inputs) => {
    const bytes: Buffer[] = [];
    const write = async (chunk: Uint8Array) => void bytes.push(Buffer.from(chunk));
    const error: unknown = await view({ inputs, format: new PerfettoFormat(3000), write }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    events += readEvents(readPackets(Buffer.concat(bytes))).length;
    return { error };
  });
  t.true(refused > 20 && events > 1000, `${refused} refused, ${events} events`);
});

test('millrace view writes it to a file, and never to a terminal', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-perfetto-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const argv = ['view', '--output=perfetto', fixture('corpus/ust-contexts')];
  const refused = fakeContext(t, argv, { isTerminal: true });
  t.is(await main(refused), 2);
  t.regex(refused.words('stderr'), /nothing for a terminal: name a file with --output-file/);
  t.is(refused.words('stdout'), '');
  const file = join(directory, 'trace.pftrace');
  const context = fakeContext(t, [...argv, '-w', file], { isTerminal: true });
  t.is(await main(context), 0);
  t.is(context.words('stdout'), '');
  t.deepEqual(readEvents(readPackets(readFileSync(file))), await eventsOf(fixture('corpus/ust-contexts')));
});
