import test from 'ava';
import fc from 'fast-check';
import { neededBytes, type Struct } from '../../../lib/schema/index.ts';
import {
  dumpViewerReply,
  dumpViewerRequest,
  viewerCommands,
  viewerHeader,
} from '../../../lib/wire/live/index.ts';
import { codeOf } from '../../helpers/hex.ts';
import { testLayouts } from '../../helpers/layout-tests.ts';
import { arbitraryOf, mutationsOf } from '../../helpers/layouts.ts';

const rows = [...viewerCommands.values()];
const layouts = new Map<string, Struct<object>>([['viewerHeader', viewerHeader]]);
for (const { request, reply } of rows)
  for (const [, layout] of [...request, ...reply]) layouts.set(layout.name, layout);
const elements = [...layouts.values()].flatMap(({ fields }) =>
  fields.flatMap(([, type]) => (type.kind === 'list' ? [type.of] : [])),
);
for (const layout of elements) layouts.set(layout.name, layout);

/** Least sizes, from the tables of the protocol reference. */
const sizes: Record<string, number> = {
  viewerHeader: 16,
  connect: 20,
  listSessions: 0,
  listSessionsReply: 4,
  listSessionsReply2_15: 4,
  viewerSession: 339,
  viewerSession2_15: 32,
  attachSession: 20,
  attachSessionReply: 8,
  viewerStream: 4371,
  getNextIndex: 8,
  getNextIndexReply: 64,
  getPacket: 20,
  getPacketReply: 12,
  getMetadata: 8,
  getMetadataReply: 12,
  getNewStreams: 8,
  getNewStreamsReply: 8,
  createSession: 0,
  createSessionReply: 4,
  detachSession: 8,
  detachSessionReply: 4,
  getNextRecordReply: 64 + 32,
  seekStream: 16,
  seekStreamReply: 12,
  attachKept: 24,
  attachKeptReply: 12,
};

test('live layouts: there is a size in the reference for each, and it is that', (t) => {
  t.deepEqual(
    Object.fromEntries([...layouts].map(([name, { minSizeBytes }]) => [name, minSizeBytes])),
    sizes,
  );
});

test('live layouts: fields lie at the offsets of the reference', (t) => {
  const offsets: [string, string, number][] = [
    ['viewerHeader', 'command', 8],
    ['connect', 'minor', 12],
    ['connect', 'connectionType', 16],
    ['viewerSession', 'clients', 12],
    ['viewerSession', 'hostname', 20],
    ['viewerSession', 'sessionName', 84],
    ['viewerSession2_15', 'traceFormat', 28],
    ['viewerSession2_15', 'hostname', 32],
    ['viewerStream', 'metadataFlag', 16],
    ['viewerStream', 'pathName', 20],
    ['viewerStream', 'channelName', 4116],
    ['getNextIndexReply', 'timestampEndCycles', 32],
    ['getNextIndexReply', 'streamClassId', 48],
    ['getNextIndexReply', 'status', 56],
    ['getNextIndexReply', 'flags', 60],
    ['getPacket', 'lengthBytes', 16],
    ['getMetadataReply', 'status', 8],
    ['attachSession', 'seek', 16],
  ];
  for (const [layout, field, offset] of offsets)
    t.is(layouts.get(layout)?.offsetOf(field), offset, `${layout}.${field}`);
});

test('live commands: the table has every number from 1 to 9, with name and first minor', (t) => {
  // Copied from the reference: number, name, since.
  const expected = `1 connect 4, 2 listSessions 4, 3 attachSession 4, 4 getNextIndex 4, 5 getPacket 4, 6 getMetadata 4,
    7 getNewStreams 4, 8 createSession 4, 9 detachSession 8`;
  t.deepEqual(
    rows
      .filter(({ since }) => since !== 'millrace')
      .map(({ code, name, since }) => `${code} ${name} ${since}`),
    expected.split(',').map((line) => line.trim()),
  );
  for (const { code, since } of rows) t.is(since === 'millrace', code > 0xffff);
});

testLayouts('live', layouts);

for (const [name, layout] of layouts)
  test(`live ${name}: its end is found in whatever bytes come, or an error`, (t) => {
    fc.assert(
      fc.property(arbitraryOf(layout), (value) => {
        const valid = layout.encode(value);
        t.is(neededBytes(layout, Buffer.concat([valid, valid]), 0, 2 * valid.length), valid.length);
        for (const { bytes } of mutationsOf(layout, valid))
          codeOf(() => t.true(neededBytes(layout, bytes, 0, bytes.length) >= layout.minSizeBytes));
      }),
      { numRuns: 20 },
    );
    t.pass();
  });

test('live: random conversations can be dumped', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.nat({ max: 11 }),
      fc.nat({ max: 20 }),
      (array, code, minor) => {
        const bytes = Buffer.from(array);
        if (bytes.length >= 12) bytes.writeUInt32BE(code, 8);
        t.notThrows(() => dumpViewerRequest(bytes));
        for (const { name } of rows) t.notThrows(() => dumpViewerReply(name, minor, bytes));
      },
    ),
  );
  t.pass();
});
