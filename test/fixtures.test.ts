import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { LogParser } from '../lib/disk/log-parser.ts';
import { logKinds } from '../lib/wire/frame-log.ts';
import { bytesBody, connectionEndBody, connectionOpenBody } from '../lib/wire/frame-log-bodies.ts';

const captures = fileURLToPath(new URL('../../fixtures/captures', import.meta.url));

interface Provenance {
  files: { path: string; sizeBytes: number; sha256: string }[];
}

const recordings = readdirSync(captures, { withFileTypes: true }).filter((entry) => entry.isDirectory());

test('fixture corpus: holds the files that its provenance names, unchanged', (t) => {
  const folder = join(captures, '../corpus');
  const { files } = JSON.parse(readFileSync(join(folder, 'provenance.json'), 'utf8')) as Provenance;
  for (const { path, sizeBytes, sha256 } of files) {
    const bytes = readFileSync(join(folder, path));
    t.is(bytes.length, sizeBytes, path);
    t.is(createHash('sha256').update(bytes).digest('hex'), sha256, path);
  }
});

for (const { name } of recordings) {
  const folder = join(captures, name);

  test(`fixture captures/${name}: is the recording that its provenance tells of`, (t) => {
    const { producer, relay, sha256 } = JSON.parse(
      readFileSync(join(folder, 'provenance.json'), 'utf8'),
    ) as Record<string, string>;
    t.regex(`${producer}`, /^lttng .* \d+\.\d+/);
    t.regex(`${relay}`, /^\d+\.\d+/);
    const recording = readFileSync(join(folder, 'conversation.mrlog'));
    t.is(createHash('sha256').update(recording).digest('hex'), sha256 as string);
  });

  test(`fixture captures/${name}: what producers and viewers said is whole messages, from its first byte to its end`, (t) => {
    const said = new Map<number, { role: number; toServer: Buffer[]; ends: number }>();
    for (const { kind, body } of recordsOf(t, join(folder, 'conversation.mrlog'))) {
      if (kind === logKinds.connectionOpen) {
        const { connection, role } = connectionOpenBody.decode(body);
        said.set(connection, { role, toServer: [], ends: 0 });
      } else if (kind === logKinds.bytes) {
        const { connection, direction, bytes } = bytesBody.decode(body);
        if (direction === 1) said.get(connection)?.toServer.push(bytes);
      } else if (kind === logKinds.connectionEnd) {
        const { connection, outcome } = connectionEndBody.decode(body);
        const of = said.get(connection);
        if (of !== undefined && outcome === 0) of.ends += 1;
      }
    }
    t.true(said.size >= 2);
    for (const { role, toServer, ends } of said.values()) {
      t.is(ends, 2, 'both directions ended');
      t.is(restOf(Buffer.concat(toServer), framings[role] as Framing), 0);
    }
  });
}

function recordsOf(t: { is(a: unknown, b: unknown): void }, path: string) {
  const parser = new LogParser(path);
  const records = parser.push(readFileSync(path));
  t.is(parser.end().outcome, 'whole');
  return records;
}

interface Framing {
  headerBytes: number;
  /** Bytes that follow the header. */
  payloadBytes: (header: Buffer) => number;
}

/** Relay protocol, control framing: u64 circuit id, u64 size of the payload, u32 command, u32 version. */
const controlFraming: Framing = {
  headerBytes: 24,
  payloadBytes: (header) => Number(header.readBigUInt64BE(8)),
};

/** Relay protocol, data port: three u64, u32 size of the data, u32 padding, which is not sent. */
const dataFraming: Framing = { headerBytes: 32, payloadBytes: (header) => header.readUInt32BE(24) };

/** Live protocol: u64 size of the payload, u32 command, u32 version. */
const liveFraming: Framing = {
  headerBytes: 16,
  payloadBytes: (header) => Number(header.readBigUInt64BE(0)),
};

/** By the role of a connection. */
const framings: Readonly<Record<number, Framing>> = { 1: controlFraming, 2: dataFraming, 3: liveFraming };

/** Bytes behind the last whole message. */
function restOf(bytes: Buffer, { headerBytes, payloadBytes }: Framing): number {
  let offset = 0;
  while (offset + headerBytes <= bytes.length) offset += headerBytes + payloadBytes(bytes.subarray(offset));
  return bytes.length - offset;
}
