/**
 * Writes a trace as LTTng's user-space tracer does, of any size: two data streams, events of three classes with
 * integers, a double, text and an enumeration, packets of 64 KiB, and an index.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const metadata = `/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
trace { major = 1; minor = 8; uuid = "2a6422d0-6cee-11e0-8c08-cb07d7b3a564"; byte_order = le;
  packet.header := struct { uint32_t magic; uint8_t uuid[16]; uint32_t stream_id; uint64_t stream_instance_id; }; };
env { hostname = "bench"; domain = "ust"; tracer_name = "lttng-ust"; tracer_major = 2; tracer_minor = 13; };
clock { name = "monotonic"; uuid = "3b5bb3a6-1a0a-4a5a-9c6a-0a1b2c3d4e5f"; freq = 1000000000; offset = 1600000000000000000; };
typealias integer { size = 32; align = 8; signed = false; map = clock.monotonic.value; } := ts32;
typealias integer { size = 64; align = 8; signed = false; map = clock.monotonic.value; } := ts64;
stream { id = 0;
  packet.context := struct { ts64 timestamp_begin; ts64 timestamp_end; uint64_t content_size; uint64_t packet_size;
    uint64_t packet_seq_num; uint64_t events_discarded; uint32_t cpu_id; };
  event.header := struct {
    enum : uint16_t { compact = 0 ... 65534, extended = 65535 } id;
    variant <id> { struct { ts32 timestamp; } compact; struct { uint32_t id; ts64 timestamp; } extended; } v; } align(8);
  event.context := struct { integer { size = 32; align = 8; signed = true; } _vtid; }; };
event { name = "work:begin"; id = 0; stream_id = 0; loglevel = 13; fields := struct {
  integer { size = 32; align = 8; signed = true; } _id; integer { size = 64; align = 8; signed = true; } _iter;
  floating_point { exp_dig = 11; mant_dig = 53; align = 8; } _load; }; };
event { name = "work:payload"; id = 1; stream_id = 0; loglevel = 13; fields := struct {
  uint32_t __data_length; integer { size = 8; align = 8; encoding = UTF8; } _data[__data_length]; string _name;
  enum : uint8_t { "IDLE" = 0, "BUSY" = 1 ... 2, "OTHER" = 3 } _state; }; };
event { name = "work:end"; id = 2; stream_id = 0; loglevel = 13; fields := struct {
  integer { size = 32; align = 8; signed = true; } _id; integer { size = 64; align = 8; base = 16; } _hash;
  integer { size = 16; align = 8; } _flags; }; };
`;

const streams = 2;
const packetBytes = 65_536;
const headerBytes = 84;
const uuid = Buffer.from('2a6422d06cee11e08c08cb07d7b3a564', 'hex');

/** Writes a trace of `events` events into `directory`. */
export function writeTrace(directory: string, events: number): void {
  mkdirSync(join(directory, 'index'), { recursive: true });
  writeFileSync(join(directory, 'metadata'), metadata);
  for (let stream = 0; stream < streams; stream++)
    writeStream(directory, stream, Math.ceil(events / streams));
}

function writeStream(directory: string, stream: number, events: number): void {
  const data = openSync(join(directory, `channel0_${stream}`), 'w');
  const index: Buffer[] = [Buffer.from('c1f1dcc1000000010000000100000048', 'hex')];
  let written = 0;
  let time = 1000n + BigInt(stream) * 311n;
  for (let packet = 0; written < events; packet++) {
    const bytes = Buffer.alloc(packetBytes);
    const begin = time;
    let at = headerBytes;
    while (written < events && packetBytes - at > 160) {
      at = writeEvent(bytes, at, written, time, stream);
      written += 1;
      time += 700n + BigInt((written * 7919) % 500);
    }
    writeHeader(bytes, { stream, packet, begin, end: time, contentBits: at * 8 });
    index.push(indexRecord({ stream, packet, begin, end: time, contentBits: at * 8 }));
    writeSync(data, bytes);
  }
  closeSync(data);
  writeFileSync(join(directory, 'index', `channel0_${stream}.idx`), Buffer.concat(index));
}

interface PacketFacts {
  stream: number;
  packet: number;
  begin: bigint;
  end: bigint;
  contentBits: number;
}

function writeHeader(bytes: Buffer, { stream, packet, begin, end, contentBits }: PacketFacts): void {
  bytes.writeUInt32LE(0xc1fc1fc1, 0);
  uuid.copy(bytes, 4);
  bytes.writeBigUInt64LE(BigInt(stream), 24);
  bytes.writeBigUInt64LE(begin, 32);
  bytes.writeBigUInt64LE(end, 40);
  bytes.writeBigUInt64LE(BigInt(contentBits), 48);
  bytes.writeBigUInt64LE(BigInt(packetBytes * 8), 56);
  bytes.writeBigUInt64LE(BigInt(packet), 64);
  bytes.writeUInt32LE(stream, 80);
}

function indexRecord({ stream, packet, begin, end, contentBits }: PacketFacts): Buffer {
  const record = Buffer.alloc(72);
  const fields = [
    BigInt(packet * packetBytes),
    BigInt(packetBytes * 8),
    BigInt(contentBits),
    begin,
    end,
    0n,
    0n,
    BigInt(stream),
    BigInt(packet),
  ];
  for (const [i, field] of fields.entries()) record.writeBigUInt64BE(field, i * 8);
  return record;
}

function writeEvent(bytes: Buffer, start: number, number: number, time: bigint, stream: number): number {
  const kind = number % 3;
  let at = bytes.writeUInt16LE(kind, start);
  at = bytes.writeUInt32LE(Number(time & 0xffff_ffffn), at);
  at = bytes.writeInt32LE(4000 + stream, at);
  if (kind === 0) {
    at = bytes.writeInt32LE(number % 100, at);
    at = bytes.writeBigInt64LE(BigInt(number) * 1_000_003n, at);
    return bytes.writeDoubleLE(number / 8, at);
  }
  if (kind === 1) {
    // Never empty: babeltrace2 2.0.4 prints an empty text as the one before.
    const length = 1 + (number % 40);
    at = bytes.writeUInt32LE(length, at);
    bytes.fill(97 + (number % 26), at, at + length);
    at += length;
    at += bytes.write(`worker-${number % 16}`, at, 'latin1') + 1;
    return bytes.writeUInt8(number % 5, at);
  }
  at = bytes.writeInt32LE(-(number % 100), at);
  at = bytes.writeBigUInt64LE(BigInt(number) * 0x9e37_79b9n, at);
  return bytes.writeUInt16LE(number % 65_536, at);
}
