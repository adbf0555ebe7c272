import test from 'ava';
import fc from 'fast-check';
import { DirtyMap, dirtyBlockBytes, type Run } from '../../lib/disk/dirty-map.ts';

/** The same, one boolean a block and nothing clever. */
class PlainMap {
  readonly dirty: boolean[];
  readonly sizeBytes: number;
  readonly blockBytes: number;

  constructor(sizeBytes: number, blockBytes: number) {
    this.sizeBytes = sizeBytes;
    this.blockBytes = blockBytes;
    this.dirty = Array.from({ length: Math.ceil(sizeBytes / blockBytes) }, () => false);
  }

  set(offset: number, lengthBytes: number, to: boolean): void {
    for (let block = 0; block < this.dirty.length; block += 1) {
      const start = block * this.blockBytes;
      if (lengthBytes > 0 && start < offset + lengthBytes && start + this.blockBytes > offset)
        this.dirty[block] = to;
    }
  }

  get dirtyBytes(): number {
    return this.dirty.reduce(
      (sum, is, block) => sum + (is ? this.end(block) - block * this.blockBytes : 0),
      0,
    );
  }

  next(from: number, maxBytes: number): Run | undefined {
    const first = this.dirty.findIndex((is, block) => is && block >= Math.floor(from / this.blockBytes));
    if (first < 0) return undefined;
    let last = first;
    while (this.dirty[last + 1] === true && (last + 2 - first) * this.blockBytes <= maxBytes) last += 1;
    return { offset: first * this.blockBytes, lengthBytes: this.end(last) - first * this.blockBytes };
  }

  end(block: number): number {
    return Math.min((block + 1) * this.blockBytes, this.sizeBytes);
  }
}

type Step = readonly [what: 'mark' | 'clean' | 'next' | 'take', a: number, b: number];

const blockBytes = 512;
// some thousand blocks: more than one word of the summary
const sizes = fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 17_000_000, max: 18_000_000 }));
const steps = fc.array(
  fc.tuple(
    fc.constantFrom('mark' as const, 'mark' as const, 'clean' as const, 'next' as const, 'take' as const),
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  ),
  { maxLength: 30 },
);

function same(sizeBytes: number, list: readonly Step[]): boolean {
  const map = new DirtyMap(sizeBytes, blockBytes);
  const plain = new PlainMap(sizeBytes, blockBytes);
  return list.every(([what, a, b]) => {
    const offset = Math.floor(a * sizeBytes);
    // short ranges as well as long ones
    const lengthBytes = Math.floor((sizeBytes - offset) * b ** 8);
    const maxBytes = blockBytes * (1 + Math.floor(b * 100));
    if (what === 'mark') {
      const before = plain.dirtyBytes;
      plain.set(offset, lengthBytes, true);
      if (map.mark(offset, lengthBytes) !== plain.dirtyBytes - before) return false;
    } else if (what === 'clean') {
      map.clean(offset, lengthBytes);
      plain.set(offset, lengthBytes, false);
    } else {
      const run = map[what](offset, maxBytes);
      const expected = plain.next(offset, maxBytes);
      if (run?.offset !== expected?.offset || run?.lengthBytes !== expected?.lengthBytes) return false;
      if (what === 'take' && expected !== undefined) plain.set(expected.offset, expected.lengthBytes, false);
    }
    return map.dirtyBytes === plain.dirtyBytes && map.isClean === (plain.dirtyBytes === 0);
  });
}

test('a dirty map answers as a plain list of booleans does', (t) => {
  t.notThrows(() => fc.assert(fc.property(sizes, steps, same), { numRuns: 150 }));
});

test('taking everything from a map that is all dirty gives the disk once, in order, in the pieces asked for', (t) => {
  const map = new DirtyMap(10_000, 512);
  map.markAll();
  t.is(map.dirtyBytes, 10_000);
  const runs: Run[] = [];
  for (let run = map.take(0, 4096); run !== undefined; run = map.take(run.offset, 4096)) runs.push(run);
  t.deepEqual(runs, [
    { offset: 0, lengthBytes: 4096 },
    { offset: 4096, lengthBytes: 4096 },
    { offset: 8192, lengthBytes: 1808 },
  ]);
  t.true(map.isClean);
  t.is(map.next(0, 512), undefined);
});

test('a single dirty block far away is found, and one behind the place asked for is not', (t) => {
  const sizeBytes = 1024 ** 4;
  const map = new DirtyMap(sizeBytes);
  const offset = sizeBytes - 123_456;
  map.mark(offset, 1);
  const { blockBytes } = map;
  const start = Math.floor(offset / blockBytes) * blockBytes;
  t.deepEqual(map.next(0, blockBytes), { offset: start, lengthBytes: blockBytes });
  t.true(map.has(offset));
  t.is(map.next(start + blockBytes, blockBytes), undefined);
});

test('the blocks of a large disk are as large as the ceiling of the map needs', (t) => {
  t.is(dirtyBlockBytes(0), 4096);
  t.is(dirtyBlockBytes(4096 * 8 * 100, 100), 4096);
  t.is(dirtyBlockBytes(4096 * 8 * 100 + 1, 100), 8192);
});

test('a range beyond the disk is a bug of the caller', (t) => {
  const map = new DirtyMap(1000, 512);
  t.throws(() => map.mark(999, 2), { message: /beyond the disk/ });
  t.throws(() => map.mark(-1, 1), { message: /beyond the disk/ });
});
