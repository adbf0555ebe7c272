import test from 'ava';
import type { Struct } from '../../../lib/schema/index.ts';
import * as nbd from '../../../lib/wire/nbd/index.ts';
import { testLayouts } from '../../helpers/layout-tests.ts';

/** Least sizes, from the tables of the NBD protocol document and of the reference. */
const sizes: ReadonlyArray<readonly [Struct<object>, number]> = [
  [nbd.greetingHead, 16],
  [nbd.oldstyleHello, 152],
  [nbd.newstyleGreeting, 18],
  [nbd.clientGreeting, 4],
  [nbd.exportNameReply, 10],
  [nbd.exportNameReplyPadded, 134],
  [nbd.optionHeader, 16],
  [nbd.optionReplyHeader, 20],
  [nbd.emptyData, 0],
  [nbd.exportName, 0],
  [nbd.exportRequest, 6],
  [nbd.metaContextRequest, 8],
  [nbd.serverReply, 4],
  [nbd.infoHead, 2],
  [nbd.infoExport, 12],
  [nbd.infoName, 2],
  [nbd.infoDescription, 2],
  [nbd.infoBlockSize, 14],
  [nbd.metaContextReply, 4],
  [nbd.requestHeader, 28],
  [nbd.extendedRequestHeader, 32],
  [nbd.simpleReply, 16],
  [nbd.chunkHeader, 20],
  [nbd.extendedChunkHeader, 32],
  [nbd.offsetData, 8],
  [nbd.offsetHole, 12],
  [nbd.blockStatus, 4],
  [nbd.blockExtent, 8],
  [nbd.blockStatusExt, 8],
  [nbd.blockExtentExt, 16],
  [nbd.errorChunk, 6],
  [nbd.errorOffsetChunk, 14],
  [nbd.peerNote, 24],
];

test('nbd layouts: sizes are those of the reference', (t) => {
  for (const [layout, size] of sizes) t.is(layout.minSizeBytes, size, layout.name);
});

test('nbd layouts: every declared one is in the table', (t) => {
  const declared = Object.values(nbd).filter(
    (value): value is Struct<object> => typeof value === 'object' && 'minSizeBytes' in value,
  );
  const names = (layouts: readonly Struct<object>[]): string[] => layouts.map(({ name }) => name).sort();
  t.deepEqual(names(declared), names(sizes.map(([layout]) => layout)));
});

test('nbd layouts: fields lie at the offsets of the reference', (t) => {
  const offsets: [Struct<object>, string, number][] = [
    [nbd.oldstyleHello, 'sizeBytes', 16],
    [nbd.oldstyleHello, 'transmissionFlags', 26],
    [nbd.optionReplyHeader, 'type', 12],
    [nbd.requestHeader, 'flags', 4],
    [nbd.requestHeader, 'type', 6],
    [nbd.requestHeader, 'cookie', 8],
    [nbd.requestHeader, 'offset', 16],
    [nbd.requestHeader, 'length', 24],
    [nbd.extendedRequestHeader, 'length', 24],
    [nbd.simpleReply, 'error', 4],
    [nbd.simpleReply, 'cookie', 8],
    [nbd.chunkHeader, 'cookie', 8],
    [nbd.chunkHeader, 'payloadSizeBytes', 16],
    [nbd.extendedChunkHeader, 'offset', 16],
    [nbd.extendedChunkHeader, 'payloadSizeBytes', 24],
  ];
  for (const [layout, field, offset] of offsets)
    t.is(layout.offsetOf(field), offset, `${layout.name}.${field}`);
});

test('nbd tables: options and commands are numbered without a gap, flags are single bits', (t) => {
  t.deepEqual([...nbd.optionNames.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  t.deepEqual(
    nbd.nbdCommands.map(({ code }) => code),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  for (const flags of [nbd.transmissionFlags, nbd.commandFlags])
    for (const [at, flag] of Object.values<number>(flags).entries()) t.is(flag, 2 ** at);
});

testLayouts('nbd', new Map(sizes.map(([layout]) => [layout.name, layout])));
