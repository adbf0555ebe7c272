/** What the next start makes of trace chunks, case by case; that no moment of a kill is missed is held in test/relay. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Journal } from '../../lib/disk/journal.ts';
import { recover } from '../../lib/disk/recover.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

const locks = openRangeLocks();
const first = { sessionPath: 's', home: '', name: 'T0-0' };
const second = { sessionPath: 's', home: 'T1-1', name: 'T1-1' };
const archive = 'archives/T0-T2-0';

interface Died {
  /** All files, relative to the session. */
  files: string[];
  told: string[];
  chunks: ReturnType<typeof recover>['chunks'];
}

/** Leaves `files` below the session and a journal with what `facts` says, as a relay does that dies; recovers. */
function died(t: ExecutionContext, files: string[], facts: (journal: Journal) => void): Died {
  const outputPath = mkdtempSync(join(tmpdir(), 'millrace-chunks-'));
  t.teardown(() => rmSync(outputPath, { recursive: true }));
  for (const file of files) {
    mkdirSync(join(outputPath, 's', dirname(file)), { recursive: true });
    writeFileSync(join(outputPath, 's', file), 'text');
  }
  const journal = Journal.open(outputPath, locks);
  facts(journal);
  journal.settle();
  const path = join(outputPath, '.millrace', 'journal.mrlog');
  const bytes = readFileSync(path);
  journal.close();
  mkdirSync(dirname(path));
  writeFileSync(path, bytes);
  const told: string[] = [];
  const listen = (message: unknown): void => {
    const { event, text } = message as Told;
    if (event !== 'disk:chunk-done') told.push(text);
  };
  toldChannel.subscribe(listen);
  const { chunks } = recover(outputPath, locks);
  toldChannel.unsubscribe(listen);
  t.is(told.shift(), 'a relay died here; its journal is whole');
  const left = readdirSync(join(outputPath, 's'), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile() || readdirSync(join(entry.parentPath, entry.name)).length === 0)
    .map((entry) => join(entry.parentPath, entry.name).slice(outputPath.length + 3));
  return { files: left.sort(), told, chunks };
}

/** A chunk in which one metadata file was written and closed, or more. */
function chunk(
  journal: Journal,
  places: Parameters<Journal['chunkMade']>[0],
  files = ['ust/metadata'],
): number {
  const made = journal.chunkMade(places);
  for (const file of files) {
    journal.chunkDirectory(made, dirname(file));
    journal.fileClosed(journal.fileOpened('metadata', made, file));
  }
  return made;
}

test('recovery: a rotation that was never closed is undone: the old chunk goes back, the new one has its name', (t) => {
  const { files, told } = died(
    t,
    ['.tmp_old_chunk/ust/metadata', '.tmp_new_chunk/ust/metadata'],
    (journal) => {
      const old = chunk(journal, { ...first, path: '' });
      journal.moveBegun(old, '.tmp_old_chunk');
      journal.moveDone(old);
      chunk(journal, { ...second, path: '.tmp_new_chunk' });
    },
  );
  t.deepEqual(files, ['T1-1/ust/metadata', 'ust/metadata']);
  t.deepEqual(told, ['trace chunk s/.tmp_old_chunk is now s', 'trace chunk s/.tmp_new_chunk is now s/T1-1']);
});

test('recovery: a chunk in which nothing was stored leaves no directory', (t) => {
  const { files, told } = died(t, ['ust/metadata'], (journal) => {
    chunk(journal, { ...first, path: '' });
    chunk(journal, { ...second, path: '.tmp_new_chunk' }, []);
  });
  t.deepEqual(files, ['ust/metadata']);
  t.deepEqual(told, []);
});

test('recovery: a chunk that was to go to the archives goes there', (t) => {
  const { files, told, chunks } = died(t, ['.tmp_old_chunk/ust/metadata', 'T1-1/ust/metadata'], (journal) => {
    journal.chunkClosed(chunk(journal, { ...first, path: '.tmp_old_chunk' }), 'moveToCompleted', archive);
    chunk(journal, { ...second, path: 'T1-1' });
  });
  t.deepEqual(files, ['T1-1/ust/metadata', `${archive}/ust/metadata`]);
  t.deepEqual(chunks, [{ from: 's/.tmp_old_chunk', to: `s/${archive}`, deleted: false }]);
  t.deepEqual(told, [`trace chunk s/.tmp_old_chunk is now s/${archive}`]);
});

for (const [from, to, there, expected] of [
  ['', '.tmp_old_chunk', ['.tmp_old_chunk/kernel/metadata', 'ust/metadata'], `${archive}/`],
  ['.tmp_new_chunk', '', ['kernel/metadata', '.tmp_new_chunk/ust/metadata'], ''],
] as const)
  test(`recovery: of two directories on their way from "${from}" to "${to}" the second follows the first`, (t) => {
    const { files } = died(t, [...there], (journal) => {
      const moving = chunk(journal, { ...first, path: from }, ['kernel/metadata', 'ust/metadata']);
      journal.moveBegun(moving, to);
      if (to !== '') journal.chunkClosed(moving, 'moveToCompleted', archive);
    });
    t.deepEqual(files, [`${expected}kernel/metadata`, `${expected}ust/metadata`]);
  });

test('recovery: a chunk that was to be deleted is deleted, with its open files; what others put there stays, with a name', (t) => {
  const here = ['.tmp_old_chunk/ust/metadata', '.tmp_old_chunk/ust/open', '.tmp_old_chunk/kernel/metadata'];
  const { files, told } = died(t, [...here, '.tmp_old_chunk/ust/notes'], (journal) => {
    const old = chunk(journal, { ...first, path: '.tmp_old_chunk' }, ['ust/metadata', 'kernel/metadata']);
    journal.fileOpened('metadata', old, 'ust/open');
    journal.chunkClosed(old, 'delete', archive);
  });
  t.deepEqual(files, ['ust/notes']);
  t.deepEqual(told.slice(-1), ['trace chunk s/.tmp_old_chunk deleted, what others put there is now in s']);
});

test('recovery: of an emptied session only the directories that the chunk made go', (t) => {
  const { files, told } = died(t, ['ust/metadata', 'other/metadata'], (journal) => {
    journal.chunkClosed(chunk(journal, { ...first, path: '' }), 'delete', archive);
  });
  t.deepEqual(files, ['other/metadata']);
  t.deepEqual(told, ['trace chunk s deleted']);
});

test("recovery: where the session's own directory is taken, a chunk gets its name", (t) => {
  const { files } = died(t, ['.tmp_old_chunk/ust/metadata', 'ust/metadata'], (journal) => {
    chunk(journal, { ...first, path: '.tmp_old_chunk' });
    chunk(journal, { ...second, path: '', home: '' });
  });
  t.deepEqual(files, ['T0-0/ust/metadata', 'ust/metadata']);
});

test('recovery: what cannot be moved is told and left, and keeps nothing else from being mended', (t) => {
  const { files, told } = died(t, ['.tmp_old_chunk/ust/metadata', 'archives'], (journal) => {
    journal.chunkClosed(chunk(journal, { ...first, path: '.tmp_old_chunk' }), 'moveToCompleted', archive);
    chunk(journal, { ...second, path: '.tmp_new_chunk' });
  });
  t.deepEqual(files, ['.tmp_old_chunk/ust/metadata', 'archives']);
  t.regex(told[0] ?? '', /^trace chunk s\/\.tmp_old_chunk cannot be finished: .*(EEXIST|ENOTDIR)/);
});

test('recovery: a chunk that nobody uses any more is left where it is', (t) => {
  const { files, told } = died(t, ['T1-1/ust/metadata'], (journal) => {
    journal.chunkGone(chunk(journal, { ...second, path: 'T1-1' }));
  });
  t.deepEqual(files, ['T1-1/ust/metadata']);
  t.deepEqual(told, []);
});
