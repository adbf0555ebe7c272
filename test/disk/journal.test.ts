import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { Journal } from '../../lib/disk/journal.ts';
import { LogParser } from '../../lib/disk/log-parser.ts';
import { recover } from '../../lib/disk/recover.ts';
import { limits } from '../../lib/limits.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { logKinds } from '../../lib/wire/frame-log.ts';
import { died } from '../helpers/dead-journal.ts';

const locks = openRangeLocks();

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-journal-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

test('journal: is gone, directory and all, after a clean end', (t) => {
  const outputPath = temporary(t);
  const journal = Journal.open(outputPath, locks);
  const id = journal.fileOpened('metadata', 0, 'metadata');
  t.deepEqual(readdirSync(join(outputPath, '.millrace')).sort(), ['journal.mrlog', 'lock']);
  journal.fileClosed(id);
  journal.close();
  t.deepEqual(readdirSync(outputPath), []);
});

for (const [how, theirs, ours] of [
  ['with locks', locks, locks],
  ['without locks', undefined, undefined],
  ['without locks, after one with', locks, undefined],
  ['with locks, after one without', undefined, locks],
] as const) {
  test(`journal: a second relay in the same directory is refused ${how}`, (t) => {
    const outputPath = temporary(t);
    const journal = Journal.open(outputPath, theirs);
    const error = t.throws(() => Journal.open(outputPath, ours), { code: 'MR_ERR_DISK_IN_USE' });
    t.true(error?.message.includes(`process ${process.pid}`), error?.message);
    t.throws(() => recover(outputPath, ours), { code: 'MR_ERR_DISK_IN_USE' });
    journal.close();
    Journal.open(outputPath, ours).close();
    t.deepEqual(readdirSync(outputPath), []);
  });
}

test('journal: what is announced is in the file at once and takes along what was told before; the rest follows with the tick', async (t) => {
  const outputPath = temporary(t);
  const path = join(outputPath, '.millrace', 'journal.mrlog');
  const journal = Journal.open(outputPath, locks);
  const sizes: number[] = [];
  const look = () => sizes.push(statSync(path).size);
  look();
  const chunk = journal.chunkMade({ sessionPath: '', path: 'a', home: 'a', name: 'a' });
  look();
  const file = journal.fileNoted('data', chunk, 'ch_0', 'index/ch_0.idx');
  journal.moveDone(chunk);
  look();
  journal.settle();
  look();
  journal.fileClosed(file);
  look();
  journal.moveBegun(chunk, 'b');
  look();
  journal.moveDone(chunk);
  look();
  await Promise.resolve();
  look();
  const [begun, made, noted, settled, closed, moving, moved, ticked] = sizes as [number, ...number[]];
  t.true(made !== undefined && made > begun);
  t.is(noted, made);
  t.true(Number(settled) > Number(noted));
  t.is(closed, settled);
  t.true(Number(moving) > Number(closed));
  t.is(moved, moving);
  t.true(Number(ticked) > Number(moved));
  const records = [...new LogParser(path).push(readFileSync(path))].map(({ kind }) => kind);
  const { chunkMade, fileOpened, moveDone, fileClosed, moveBegun } = logKinds;
  t.deepEqual(records, [chunkMade, fileOpened, moveDone, fileClosed, moveBegun, moveDone]);
  journal.close();
});

test('journal: stays small however many facts come, and loses none that matters', (t) => {
  const outputPath = temporary(t);
  const path = join(outputPath, '.millrace', 'journal.mrlog');
  let largest = 0;
  died(outputPath, (journal) => {
    const chunk = journal.chunkMade({ sessionPath: '', path: 'a', home: 'a', name: 'a' });
    const living = journal.fileOpened('metadata', chunk, 'living');
    journal.fileCommitted(living, 3);
    for (let i = 0; i < 20_000; i++) {
      const id = journal.fileOpened('data', chunk, `ch_${i % 10}`);
      journal.fileCommitted(id, i);
      journal.fileClosed(id);
      if (i % 100 === 0) largest = Math.max(largest, statSync(path).size);
    }
    journal.moveBegun(chunk, 'b');
    journal.moveDone(chunk);
    mkdirSync(join(outputPath, 'b'));
    writeFileSync(join(outputPath, 'b', 'living'), 'abcdef');
  });
  t.true(largest <= limits.journalBytes + 4096, `${largest} bytes`);
  t.is(recover(outputPath, locks).files, 1);
  t.is(readFileSync(join(outputPath, 'b', 'living'), 'utf8'), 'abc');
});

test('journal: one that cannot be written is removed, told once, and costs nobody else', (t) => {
  const program = fileURLToPath(new URL('journal-full.js', import.meta.url));
  const command = 'ulimit -f 8; exec "$@"';
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', command, '-', process.execPath, program, temporary(t)],
    {
      encoding: 'utf8',
    },
  );
  t.is(stderr, '');
  t.deepEqual(stdout.trim().split('\n'), ['disk:journal', 'no journal', 'clean']);
});
