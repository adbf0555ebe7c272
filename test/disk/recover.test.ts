import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { recover } from '../../lib/disk/recover.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { chunkIn, died } from '../helpers/dead-journal.ts';

const locks = openRangeLocks();
const writer = fileURLToPath(new URL('journal-writer.js', import.meta.url));

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-journal-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

/** Runs the small relay until `step`; returns what it knew to be whole: the last number said of each thing. */
function run(outputPath: string, step: number): { signal: string | null; said: Map<string, number> } {
  const { signal, stdout, stderr } = spawnSync(process.execPath, [writer, outputPath, `${step}`], {
    encoding: 'utf8',
  });
  if (signal === null && stderr !== '') throw new Error(stderr);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return { signal, said: new Map(lines.map(([what, which, count]) => [`${what} ${which}`, Number(count)])) };
}

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Ends of the packets in a file of `journal-writer`; fails on anything that is not a whole packet. */
function packetEnds(t: ExecutionContext, path: string): number[] {
  const bytes = readFileSync(path);
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; at = ends.at(-1) as number) {
    const size = bytes.readUInt32BE(at);
    const packet = bytes.subarray(at + 4, at + size);
    t.true(packet.length === size - 4 && packet.every((byte) => byte === packet[0]), `${path} at ${at}`);
    ends.push(at + size);
  }
  return ends;
}

test('recovery: wherever a relay is killed, whole packets and commands stay, and nothing else', (t) => {
  const whole = run(temporary(t), -1);
  t.is(whole.signal, null);
  const steps = whole.said.get('steps x') as number;
  // steps eleven apart, which does not divide the period of the writer: all kinds of steps are hit
  for (let step = 3; step <= steps; step += 11) {
    const outputPath = temporary(t);
    const { signal, said } = run(outputPath, step);
    t.is(signal, 'SIGKILL');
    const report = recover(outputPath, locks);
    t.true(report.found);
    const files = filesBelow(outputPath);
    t.false(existsSync(join(outputPath, '.millrace')), 'the journal is gone');
    t.deepEqual(
      files.filter((path) => path.endsWith('.tmp')),
      [],
    );
    for (const path of files) {
      const name = basename(path);
      if (name === 'metadata') {
        const text = readFileSync(path, 'utf8');
        t.regex(text, /^(declaration \d \d;\n)*$/);
        t.true(text.length >= (said.get('metadata x') ?? 0), `metadata at step ${step}`);
      } else if (name === 'snapshot') {
        packetEnds(t, path);
        t.true(statSync(path).size >= (said.get('snapshot x') ?? 0), `snapshot at step ${step}`);
      } else if (name.startsWith('ch_') && !name.endsWith('.idx')) {
        const ends = packetEnds(t, path);
        t.true(ends.length >= (said.get(`packets ${name}`) ?? 0), `${name} at step ${step}`);
        const indexPath = join(path, '..', 'index', `${name}.idx`);
        const index = existsSync(indexPath) ? readFileSync(indexPath) : Buffer.alloc(0);
        const records = index.length < 16 ? 0 : (index.length - 16) / 72;
        t.is(records, ends.length, `${name} at step ${step}: one record a packet`);
        for (let i = 0; i < records; i++) {
          const at = 16 + i * 72;
          const end = index.readBigUInt64BE(at) + index.readBigUInt64BE(at + 8) / 8n;
          t.is(Number(end), ends[i] as number);
        }
      }
    }
    t.false(recover(outputPath, locks).found, 'a second recovery finds nothing');
  }
});

test('recovery: a file that somebody has locked is left alone', (t) => {
  if (locks === undefined) {
    t.pass('no byte-range locks on this system');
    return;
  }
  const outputPath = temporary(t);
  const { signal } = run(outputPath, 40);
  t.is(signal, 'SIGKILL');
  const path = filesBelow(outputPath).find((name) => name.endsWith('metadata')) as string;
  writeFileSync(path, 'torn', { flag: 'a' });
  const fd = openSync(path, 'r');
  const size = statSync(path).size;
  t.true(locks.tryLock(fd, 'shared', size - 1, 1));
  const { cuts } = recover(outputPath, locks);
  t.is(statSync(path).size, size);
  t.is(cuts.find((cut) => cut.path.endsWith('metadata'))?.left, 'another program holds a lock on it');
});

test('recovery: an index that outran its data is cut to the packets that are there', (t) => {
  const outputPath = temporary(t);
  const index = Buffer.alloc(16 + 3 * 72);
  Buffer.from('c1f1dcc1000000010000000100000048', 'hex').copy(index);
  for (const [i, [offset, bytes]] of [
    [0n, 100n],
    [100n, 50n],
    [150n, 100n],
  ].entries()) {
    index.writeBigUInt64BE(offset as bigint, 16 + i * 72);
    index.writeBigUInt64BE((bytes as bigint) * 8n, 16 + i * 72 + 8);
  }
  died(outputPath, (journal) => {
    journal.fileOpened('data', chunkIn(journal), 'ch_0', 'ch_0.idx');
    writeFileSync(join(outputPath, 'ch_0'), Buffer.alloc(200));
    writeFileSync(join(outputPath, 'ch_0.idx'), index);
  });
  recover(outputPath, locks);
  t.is(statSync(join(outputPath, 'ch_0')).size, 150);
  t.is(statSync(join(outputPath, 'ch_0.idx')).size, 16 + 2 * 72);
});

test('recovery: what is no index file is left as it is, and its data too', (t) => {
  const outputPath = temporary(t);
  died(outputPath, (journal) => {
    journal.fileOpened('data', chunkIn(journal), 'ch_0', 'ch_0.idx');
    writeFileSync(join(outputPath, 'ch_0'), Buffer.alloc(200));
    writeFileSync(join(outputPath, 'ch_0.idx'), 'something else, longer than a header');
  });
  t.deepEqual(recover(outputPath, locks).cuts, []);
  t.is(statSync(join(outputPath, 'ch_0')).size, 200);
});

test('recovery: a journal leads to no file outside its directory', (t) => {
  const outside = temporary(t);
  const outputPath = join(outside, 'out');
  mkdirSync(outputPath);
  writeFileSync(join(outside, 'victim'), 'precious');
  died(outputPath, (journal) => {
    const chunk = chunkIn(journal);
    journal.fileOpened('metadata', chunk, '../victim');
    journal.fileOpened('metadata', chunk, join(outside, 'victim'));
    for (const place of ['..', outside]) {
      const places = { sessionPath: '', path: 'a', home: 'a', name: 'a' };
      for (const field of Object.keys(places))
        journal.fileOpened('metadata', journal.chunkMade({ ...places, [field]: place }), 'victim');
      journal.moveBegun(journal.chunkMade({ ...places, sessionPath: 'out' }), `${place}/b`);
      const deleted = journal.chunkMade(places);
      journal.fileOpened('metadata', deleted, `${place}/victim`);
      journal.chunkClosed(deleted, 'delete', 'archives/x');
    }
  });
  recover(outputPath, locks);
  t.is(readFileSync(join(outside, 'victim'), 'utf8'), 'precious');
});

/** A trace chunk that is the whole output directory. */
