import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { indexFormatAt } from '../../lib/ctf/index-file.ts';
import { AppendFile } from '../../lib/disk/append-file.ts';
import {
  type CommittedPacket,
  readMetadata,
  readStream,
  type StreamFiles,
} from '../../lib/disk/cooperative-reader.ts';
import { DescriptorPool } from '../../lib/disk/descriptor-pool.ts';
import { IndexFile } from '../../lib/disk/index-file.ts';
import { Pace } from '../../lib/disk/pace.ts';
import { limits } from '../../lib/limits.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import type { Index } from '../../lib/stage/frames.ts';

type Ask = (command: string, ...args: number[]) => Promise<unknown>;

/** A writer in another process (`rule-writer.ts`), and where its files are. */
async function writer(t: ExecutionContext): Promise<{ ask: Ask; child: ChildProcess; files: StreamFiles }> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-reader-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const child = fork(new URL('rule-writer.js', import.meta.url), [directory]);
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'message');
  const ask: Ask = async (...command) => {
    const done = once(child, 'message');
    child.send(command);
    const [answer] = (await done) as [unknown];
    return answer;
  };
  const files = {
    dataPath: join(directory, 's'),
    indexPath: join(directory, 's.idx'),
    locks: openRangeLocks(),
  };
  return { ask, child, files };
}

/** What a packet should be: 5000 bytes of `mark`, with a record that says so. */
function isPacket(t: ExecutionContext, packet: CommittedPacket | undefined, mark: number): void {
  t.like(packet?.record, { packetSizeBits: 40_000n, contentSizeBits: 39_000n, streamClassId: 7n });
  t.is(packet?.record.timestampBeginCycles, BigInt(mark));
  t.true(packet?.bytes?.equals(Buffer.alloc(5000, mark)));
}

function indexFrame(mark: number): Index {
  return {
    kind: 'index',
    stream: 1,
    netSeqNum: BigInt(mark),
    packetSizeBits: 40_000n,
    contentSizeBits: 39_000n,
    timestampBeginCycles: BigInt(mark),
    timestampEndCycles: BigInt(mark) + 1n,
    eventsDiscarded: 0n,
    streamClassId: 7n,
    streamInstanceId: 3n,
    packetSeqNum: BigInt(mark),
    metadataPositionBytes: 0,
  };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** True while `promise` is unsettled though several polls have passed. */
async function stillWaits(promise: Promise<unknown>): Promise<boolean> {
  const waiting = Symbol('waiting');
  return (await Promise.race([promise, delay(4 * limits.lockPollMs, waiting)])) === waiting;
}

test('a packet is given out when it is committed, and not before', async (t) => {
  const { ask, files } = await writer(t);
  const packets = readStream(files);
  let next = packets.next();
  t.true(await stillWaits(next), 'there is no file');
  await ask('open');
  t.true(await stillWaits(next), 'there is no packet');
  for (let mark = 1; mark <= 3; mark += 1) {
    await ask('begin');
    t.true(await stillWaits(next), 'the packet and its record lie there uncommitted');
    await ask('commit', mark);
    const { value } = await next;
    isPacket(t, value, mark);
    t.is(value?.recordIndex, mark - 1);
    t.is(value?.record.packetSeqNum, BigInt(mark));
    next = packets.next();
  }
  await ask('begin');
  t.true(await stillWaits(next));
  await ask('cut');
  await ask('close');
  t.true((await next).done);
});

test('a finished stream is read to its end, from any record on, also of version 1.0 and without locks', async (t) => {
  const { ask, files } = await writer(t);
  await ask('open', 0);
  for (let mark = 1; mark <= 5; mark += 1) await ask('commit', mark);
  await ask('lose', 6);
  await ask('close');
  for (const locks of [files.locks, undefined]) {
    const packets = await collect(readStream({ ...files, locks, firstRecord: 2 }));
    t.deepEqual(
      packets.map(({ recordIndex }) => recordIndex),
      [2, 3, 4, 5],
    );
    for (const packet of packets.slice(0, 3)) isPacket(t, packet, packet.recordIndex + 1);
    t.is(packets[3]?.bytes, undefined);
    t.is(packets[3]?.record.timestampBeginCycles, 6n);
    t.is(packets[0]?.record.packetSeqNum, undefined);
  }
});

test('a reader that starts late gets everything that is committed, then waits', async (t) => {
  const { ask, files } = await writer(t);
  await ask('open');
  for (let mark = 1; mark <= 20; mark += 1) await ask('commit', mark);
  await ask('begin');
  const packets = readStream(files);
  for (let mark = 1; mark <= 20; mark += 1) isPacket(t, (await packets.next()).value, mark);
  const next = packets.next();
  t.true(await stillWaits(next));
  await ask('commit', 21);
  isPacket(t, (await next).value, 21);
  await packets.return(undefined);
});

test('a writer killed in the middle of a packet leaves what it had committed', async (t) => {
  const { ask, child, files } = await writer(t);
  await ask('open');
  await ask('commit', 1);
  await ask('commit', 2);
  const packets = readStream(files);
  isPacket(t, (await packets.next()).value, 1);
  isPacket(t, (await packets.next()).value, 2);
  // half a packet, half a record
  writeFileSync(files.dataPath, Buffer.alloc(2000, 0xee), { flag: 'a' });
  truncateSync(files.indexPath, 16 + 2 * 72 + 30);
  const next = packets.next();
  t.true(await stillWaits(next));
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  t.true((await next).done);
});

test('at no moment of a birth is an uncommitted byte seen, and data and index belong together', async (t) => {
  const { ask, files } = await writer(t);
  let writing = false;
  let seen = 0;
  const signal = AbortSignal.timeout(60_000);
  while (seen < 25) {
    if (!writing) {
      writing = true;
      void ask('ring', 50).then(() => {
        writing = false;
      });
    }
    const packets = await collect(readStream({ ...files, signal }));
    // none: the index went while the finished data file still had its name
    if (packets.length === 0) continue;
    seen += writing ? 1 : 0;
    t.is(packets.length, 3);
    const mark = Number(packets[0]?.record.timestampBeginCycles);
    for (const packet of packets) isPacket(t, packet, mark);
  }
});

test('a data file that is finished without an index has no packets', async (t) => {
  const { ask, files } = await writer(t);
  await ask('open');
  const packets = collect(readStream(files));
  t.true(await stillWaits(packets));
  await ask('cut');
  await ask('close');
  t.deepEqual(await packets, []);
});

test('a reader is called off while it waits for a file, for a packet; it leaves no lock', async (t) => {
  const { ask, files } = await writer(t);
  const controller = new AbortController();
  const reason = new Error('enough');
  const nowhere = readStream({ ...files, signal: controller.signal }).next();
  const before = t.throwsAsync(nowhere, { is: reason });
  controller.abort(reason);
  await before;

  await ask('open');
  await ask('commit', 1);
  const late = new AbortController();
  const packets = readStream({ ...files, signal: late.signal });
  await packets.next();
  const waiting = t.throwsAsync(packets.next(), { is: reason });
  late.abort(reason);
  await waiting;
  await ask('close');
  // the writer's process may lock the whole file again: nobody else holds any of it
  t.is(await ask('reopen'), true);
});

test('a record that points behind the data, and a file that is no index, are errors that name the file', async (t) => {
  const { ask, files } = await writer(t);
  await ask('open');
  await ask('commit', 1);
  await ask('lie');
  await ask('cut');
  await ask('close');
  const packets = readStream(files);
  await packets.next();
  const error = await t.throwsAsync(packets.next(), { code: 'MR_ERR_DISK_READ' });
  t.true(error?.message.includes(`${files.dataPath}: packet 1 ends behind the file`));
  writeFileSync(files.indexPath, 'sixteen bytes of nothing');
  await t.throwsAsync(readStream(files).next(), {
    code: 'MR_ERR_DISK_READ',
    message: /no CTF index file/,
  });
});

test('records of a later minor version, longer by fields that nobody knows, are stepped over', async (t) => {
  const { ask, files } = await writer(t);
  await ask('open');
  await ask('commit', 1);
  await ask('commit', 2);
  await ask('cut');
  await ask('close');
  const old = readFileSync(files.indexPath);
  const header = Buffer.from(old.subarray(0, 16));
  header.writeUInt32BE(2, 8);
  header.writeUInt32BE(80, 12);
  const more = Buffer.alloc(8, 0xff);
  writeFileSync(
    files.indexPath,
    Buffer.concat([header, old.subarray(16, 88), more, old.subarray(88, 160), more]),
  );
  const packets = await collect(readStream(files));
  t.is(packets.length, 2);
  isPacket(t, packets[1], 2);
});

test('a record cannot make the reader take more memory than a packet may have', async (t) => {
  const { ask, files } = await writer(t);
  await ask('open');
  await ask('commit', 1);
  await ask('close');
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(limits.packetBytes) * 8n + 8n);
  const index = readFileSync(files.indexPath);
  size.copy(index, 16 + 8);
  writeFileSync(files.indexPath, index);
  await t.throwsAsync(readStream(files).next(), { code: 'MR_ERR_DISK_READ', message: /at most/ });
});

test('metadata comes by whole commands as they are committed, and ends with its writer', async (t) => {
  const { ask, files } = await writer(t);
  const path = join(files.dataPath, '..', 'metadata');
  const pieces = readMetadata(path, files);
  let next = pieces.next();
  t.true(await stillWaits(next));
  await ask('openMetadata');
  for (let mark = 1; mark <= 3; mark += 1) {
    await ask('half', mark);
    t.true(await stillWaits(next));
    await ask('whole', mark);
    t.is(String((await next).value), `whole command ${mark};\n`);
    next = pieces.next();
  }
  await ask('cut');
  await ask('close');
  t.true((await next).done);
});

test('the files of our own writer are read as they are committed: data first, then the record', async (t) => {
  const { files } = await writer(t);
  const directory = join(files.dataPath, '..');
  const { locks } = files;
  const env = {
    locks,
    pace: new Pace(),
    lockConflicts: 0,
    bytesInFlight: 0,
    open: new Set<AppendFile>(),
    pool: new DescriptorPool(),
    onAllClosed: () => undefined,
  };
  const data = new AppendFile(directory, 's', env);
  const index = new IndexFile(directory, 's.idx', indexFormatAt(15), env);
  index.begin();
  const packets = readStream(files);
  for (let mark = 1; mark <= 3; mark += 1) {
    const next = packets.next();
    data.append([Buffer.alloc(5000, mark)], 5000, (error) => t.is(error, undefined));
    index.add(indexFrame(mark), (mark - 1) * 5000);
    index.flush((error) => t.is(error, undefined));
    t.true(await stillWaits(next), 'written and not committed');
    data.commit(mark * 5000);
    t.true(await stillWaits(next), 'the packet is committed, its record is not');
    index.commit(1);
    isPacket(t, (await next).value, mark);
  }
  data.close();
  index.close();
  t.true((await packets.next()).done);
  t.is(env.lockConflicts, 0);
});
