import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ChunkContents } from '../../lib/disk/chunk-contents.ts';
import { temporaryDirectory } from '../helpers/disk.ts';

test('only directories that were asked for are listed, those above them are made all the same', (t) => {
  const root = join(temporaryDirectory(t), 'chunk');
  const contents = new ChunkContents(() => root);
  contents.makeDirectory('', true);
  contents.makeDirectory('ust/uid/0', true);
  t.deepEqual([...contents.directories], ['', 'ust/uid/0']);
  t.true(existsSync(join(root, 'ust/uid/0')));
  contents.makeDirectory('ust', true);
  t.deepEqual([...contents.directories], ['', 'ust/uid/0', 'ust']);
});

test('a file that an earlier session left goes, one that nobody can have left is not looked for', (t) => {
  const root = temporaryDirectory(t);
  const contents = new ChunkContents(() => root);
  mkdirSync(join(root, 'old/index'), { recursive: true });
  for (const directory of ['old', 'new']) {
    contents.makeDirectory(directory, false);
    contents.makeDirectory(`${directory}/index`, false);
    writeFileSync(join(root, directory, 'index', 'ch.idx'), '');
    contents.removeFile(`${directory}/index/ch.idx`);
  }
  t.false(existsSync(join(root, 'old/index/ch.idx')));
  t.true(existsSync(join(root, 'new/index/ch.idx')));
});
