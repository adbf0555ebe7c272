import { readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The layer table: imports go down only, and rooms of one layer do not import each other. */
const layers: ReadonlyArray<readonly string[]> = [
  ['lib/errors.ts', 'lib/limits.ts', 'lib/telemetry.ts', 'lib/version.ts', 'lib/schema'],
  ['lib/wire', 'lib/ctf', 'lib/os'],
  ['lib/stage'],
  ['lib/network', 'lib/disk'],
  ['lib/relay', 'lib/consumer', 'lib/viewer', 'lib/nbd'],
  ['lib/index.ts', 'lib/start.ts', 'lib/pipe.ts', 'lib/pipe', 'lib/capture', 'lib/admin'],
  ['cli'],
];

/** Layer 0 and layer 5 are one floor: its parts may use each other. */
const openFloors = new Set([0, 5]);

function roomOf(path: string): { layer: number; room: string } | undefined {
  for (const [layer, rooms] of layers.entries()) {
    const room = rooms.find((r) => path === r || path.startsWith(`${r}/`));
    if (room !== undefined) return { layer, room };
  }
  return undefined;
}

function sources(): string[] {
  return ['lib', 'cli'].flatMap((top) =>
    readdirSync(resolve(root, top), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${top}/${name}`),
  );
}

function importsOf(path: string): string[] {
  const text = readFileSync(resolve(root, path), 'utf8');
  const found = text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)'(\.[^']+)'/gm);
  return [...found].map(([, target]) => relative(root, resolve(root, dirname(path), target as string)));
}

test('every source file lies in a room of the layer table', (t) => {
  for (const path of sources()) t.truthy(roomOf(path), `${path} is in no room`);
});

test('imports go down only, and never sideways', (t) => {
  const wrong: string[] = [];
  for (const path of sources()) {
    const from = roomOf(path);
    if (from === undefined) continue;
    for (const target of importsOf(path)) {
      const to = roomOf(target);
      if (to === undefined) wrong.push(`${path} imports ${target}, which is in no room`);
      else if (to.room === from.room) continue;
      else if (to.layer > from.layer) wrong.push(`${path} imports upwards: ${target}`);
      else if (to.layer === from.layer && !openFloors.has(to.layer))
        wrong.push(`${path} imports sideways: ${target}`);
    }
  }
  t.deepEqual(wrong, []);
});

test('the command line sees the library through its door alone', (t) => {
  const wrong = sources()
    .filter((path) => path.startsWith('cli/'))
    .flatMap((path) =>
      importsOf(path)
        .filter(
          (target) => target.startsWith('lib/') && target !== 'lib/index.ts' && target !== 'lib/start.ts',
        )
        .map((target) => `${path}: ${target}`),
    );
  t.deepEqual(wrong, []);
});

test('the door that every command loads at once leads to the ground floor only', (t) => {
  const text = readFileSync(resolve(root, 'lib/start.ts'), 'utf8');
  const loaded = [...text.matchAll(/\bfrom\s+'\.\/([^']+)'/g)].map(([, name]) => roomOf(`lib/${name}`));
  t.true(loaded.length > 0);
  t.true(loaded.every((room) => room?.layer === 0));
});

test('every room has a README', (t) => {
  const rooms = layers.flat().filter((room) => !room.endsWith('.ts'));
  const present = new Set(sources().map((path) => roomOf(path)?.room));
  for (const room of rooms) {
    if (present.has(room))
      t.true(readdirSync(resolve(root, room)).includes('README.md'), `${room} has no README`);
  }
});

test('pump is called in one place, which names the stage that failed', (t) => {
  const callers = sources().filter((path) => /from 'pump'/.test(readFileSync(resolve(root, path), 'utf8')));
  t.deepEqual(callers, ['lib/stage/compose.ts']);
});
