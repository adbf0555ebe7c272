import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { readMetadataClass } from '../../lib/ctf/metadata/index.ts';
import { type PacketHeader, PacketReader } from '../../lib/ctf/packet-header.ts';
import { scanPackets } from '../../lib/ctf/packet-scan.ts';
import { codeOf, hex } from '../helpers/hex.ts';
import {
  allTraces,
  fixture,
  indexOf,
  type RawIndexRecord,
  streamFiles,
  tracesBelow,
} from '../helpers/traces.ts';

function readerOf(trace: string): PacketReader {
  return new PacketReader(readMetadataClass(readFileSync(join(trace, 'metadata'))));
}

/** A reader of little endian packets with this header and context. */
function readerFor(header: string, context: string): PacketReader {
  const text = `trace { major = 1; minor = 8; byte_order = le; packet.header := struct { ${header} }; };
    typealias integer { size = 8; align = 8; } := u8;
    stream { packet.context := struct { ${context} }; };`;
  return new PacketReader(readMetadataClass(Buffer.from(text)));
}

async function scan(reader: PacketReader, bytes: Buffer) {
  const found = [];
  for await (const each of scanPackets(
    async (at, length) => bytes.subarray(at, at + length),
    bytes.length,
    reader,
  ))
    found.push(each);
  return found;
}

test('packet header: agrees with every index record that LTTng wrote', async (t) => {
  const traces = allTraces().filter((path) => /\/(ust-[^/]*|py-agent|relay)\//.test(path));
  t.true(traces.length >= 10);
  let compared = 0;
  for (const trace of traces) {
    const reader = readerOf(trace);
    for (const name of streamFiles(trace)) {
      const records = indexOf(trace, name);
      if (records === undefined) continue;
      const packets = await scan(reader, readFileSync(join(trace, name)));
      t.deepEqual(
        packets.map(
          (each) => each.kind === 'packet' && { ...asRecord(each.header), offsetBytes: each.offsetBytes },
        ),
        records,
        `${trace}/${name}`,
      );
      compared += records.length;
    }
  }
  t.true(compared >= 20);
});

function asRecord(header: PacketHeader): Partial<RawIndexRecord> {
  const record: Partial<PacketHeader> = { ...header };
  for (const field of ['magic', 'uuid', 'headerBits'] as const) delete record[field];
  return record as Partial<RawIndexRecord>;
}

test('packet header: CTF 2 metadata of both tracers reads as the same packets in CTF 1.8 do', async (t) => {
  for (const [name, magic] of [
    ['synth-ctf2-ust', 'c11ffcc1'],
    ['synth-ctf2-modules', 'c1fc1fc1'],
  ] as const) {
    const trace = fixture(`corpus/${name}/trace`);
    const reader = readerOf(trace);
    t.is(reader.trace.format, 'ctf-2');
    t.is(reader.magicBytes?.toString('hex'), magic);
    const [file] = streamFiles(trace) as [string];
    const bytes = readFileSync(join(trace, file));
    const packets = await scan(reader, bytes);
    t.true(packets.length > 0 && packets.every(({ kind }) => kind === 'packet'));
    const twin = readerOf(fixture(`corpus/${name}/twin-1.8`));
    t.deepEqual(await scan(twin, bytes), packets);
  }
});

test('packet header: sizes of any width in any order, and the header ends where the first event may begin', (t) => {
  const u = (size: number, align = 8) => `integer { size = ${size}; align = ${align}; }`;
  const reader = readerFor(
    `${u(32)} magic; u8 uuid[16];`.replace('u8', u(8)),
    `${u(16, 16)} content_size; ${u(3, 1)} flags; ${u(13, 1)} packet_size; ${u(8)} packet_seq_num;`,
  );
  const header = reader.packetAt(hex('c11ffcc1 000102030405060708090a0b0c0d0e0f c800 4006 2a ffff'));
  t.is(header.magic, 0xc1fc1fc1);
  t.deepEqual(header.uuid, hex('000102030405060708090a0b0c0d0e0f'));
  t.is(header.contentSizeBits, 200n);
  t.is(header.packetSizeBits, 200n);
  t.is(header.packetSeqNum, 42n);
  t.is(header.headerBits, 200);
  t.is(header.timestampBeginCycles, undefined);
});

test('packet header: sequences, variants, strings and nested structures are passed over', (t) => {
  const reader = readerFor(
    'integer { size = 32; align = 8; } magic;',
    `struct { u8 n; } s; u8 list[s.n]; enum : u8 { a = 1, b = 2 } tag; variant <tag> { u8 a; string b; } v;
     string names[2]; u8 none[0]; u8 packet_size;`,
  );
  const header = reader.packetAt(hex('c11ffcc1 02 aabb 02 686900 780000 80'));
  t.is(header.packetSizeBits, 128n);
  t.is(header.headerBits, 15 * 8);
  const short = hex('c11ffcc1 02 aabb 02 686900 7800');
  t.is(
    codeOf(() => reader.packetAt(short)),
    'MR_ERR_CTF_SHORT',
  );
  t.is(
    codeOf(() => reader.packetAt(hex('c11ffcc1 00 03 00000000'))),
    'MR_ERR_CTF_PACKET',
  );
});

test('packet header: narrow timestamps go on from the clock, wrapping once', (t) => {
  const reader = readerFor('', 'u8 timestamp_begin; u8 timestamp_end;');
  const times = (bytes: string, clock: bigint) => {
    const { timestampBeginCycles, timestampEndCycles } = reader.packetAt(hex(bytes), clock);
    return [timestampBeginCycles, timestampEndCycles];
  };
  t.deepEqual(times('1020', 0n), [0x10n, 0x20n]);
  t.deepEqual(times('1008', 0x120n), [0x210n, 0x308n]);
});

test('packet header: a byte order that changes inside a byte is refused', (t) => {
  const reader = readerFor(
    '',
    'integer { size = 4; } a; integer { size = 4; byte_order = be; } packet_size;',
  );
  t.is(
    codeOf(() => reader.packetAt(hex('ff'))),
    'MR_ERR_CTF_PACKET',
  );
});

test('packet header: lengths that no file has, and fields without number, end soon', (t) => {
  const huge = readerFor('', 'u8 a[9223372036854775807][9223372036854775807]; u8 packet_size;');
  t.is(
    codeOf(() => huge.packetAt(Buffer.alloc(100))),
    'MR_ERR_CTF_SHORT',
  );
  const empty = readerFor('', 'struct { string x; } a[9223372036854775807];');
  t.is(
    codeOf(() => empty.packetAt(Buffer.alloc(1_000_000))),
    'MR_ERR_CTF_PACKET',
  );
});

test('packet scan: every byte is packet or damage, and it goes on behind damage', async (t) => {
  const [trace] = tracesBelow(fixture('captures/rotation')) as [string];
  const reader = readerOf(trace);
  const one = readFileSync(join(trace, streamFiles(trace)[0] as string)).subarray(0, 4096);
  const bad = Buffer.from(one);
  bad.writeUInt32LE(1, 0);
  const found = await scan(reader, Buffer.concat([one, bad, one, one.subarray(0, 1000)]));
  t.deepEqual(
    found.map((each) => [each.kind, each.offsetBytes, each.sizeBytes, each.kind === 'damage' && each.torn]),
    [
      ['packet', 0, 4096, false],
      ['damage', 4096, 4096, false],
      ['packet', 8192, 4096, false],
      ['damage', 12_288, 1000, true],
    ],
  );
});

test('packet scan: the faults of the synthetic traces are found where they are', async (t) => {
  const faults = async (name: string) => {
    const trace = fixture(`corpus/${name}/trace`);
    const found = await scan(readerOf(trace), readFileSync(join(trace, 's0')));
    return found.map((each) =>
      each.kind === 'packet' ? 'packet' : `${each.error.code}${each.torn ? ' torn' : ''}`,
    );
  };
  t.deepEqual(await faults('synth-fail-magic'), ['MR_ERR_CTF_MAGIC']);
  t.deepEqual(await faults('synth-fail-stream-id'), ['MR_ERR_CTF_STREAM_CLASS']);
  t.deepEqual(await faults('synth-fail-truncated'), ['packet', 'MR_ERR_CTF_PACKET torn']);
});
