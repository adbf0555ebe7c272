/**
 * Trace chunks shared by the consumers of one session: two of them go through a rotation in every order that their
 * connections allow. Directories are real, so a chunk that is renamed twice, or owned twice, is found by the system.
 */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type ChunkHolder, ChunkRegistry } from '../../lib/disk/chunk-registry.ts';
import type { TraceChunk } from '../../lib/disk/trace-chunk.ts';
import type { ChunkDone, ChunkOpen } from '../../lib/stage/frames.ts';
import { sessionOpen } from '../helpers/frames.ts';
import { tree } from '../helpers/relay.ts';
import { interleavings } from '../helpers/store.ts';

const sessionDirectory = 'host/s1';

/** A registry on a directory of its own, and every rename that it made. */
class Chunks {
  readonly outputPath = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-chunks-')));
  readonly moves: string[] = [];
  /** Chunks that were told as complete. */
  readonly complete: string[] = [];
  readonly registry: ChunkRegistry;

  constructor(t: { teardown(run: () => void): void }) {
    t.teardown(() => rmSync(this.outputPath, { recursive: true }));
    let made = 0;
    const places = new Map<number, string>();
    const place = (chunk: number, at: string): void => {
      for (const [other, taken] of places)
        if (other !== chunk && taken === at) throw new Error(`chunks ${other} and ${chunk} both own "${at}"`);
      places.set(chunk, at);
    };
    const journal = {
      chunkMade: ({ path }: { path: string }) => {
        made += 1;
        place(made, path);
        return made;
      },
      chunkDirectory: () => undefined,
      moveBegun: (chunk: number, to: string) => {
        this.moves.push(`${places.get(chunk) || '.'} -> ${to || '.'}`);
        place(chunk, to);
      },
      moveDone: () => undefined,
      fileFound: () => undefined,
      chunkClosed: () => undefined,
      chunkGone: (chunk: number) => {
        places.delete(chunk);
      },
      settle: () => undefined,
    };
    this.registry = new ChunkRegistry(this.outputPath, journal, ({ path }) => this.complete.push(path));
  }

  list(): string[] {
    return Object.keys(tree(join(this.outputPath, sessionDirectory))).sort();
  }
}

/** One consumer: its relay session, and the stream that it writes. */
class Consumer {
  readonly holder: ChunkHolder;
  readonly #chunks: Chunks;
  readonly #domain: string;
  #at: TraceChunk | undefined;

  constructor(chunks: Chunks, session: number, domain: string) {
    this.#chunks = chunks;
    this.#domain = domain;
    const view = { current: undefined, awaitingClose: undefined, hasRotated: false };
    this.holder = { open: sessionOpen({ session }), path: sessionDirectory.split('/'), ...view };
  }

  create(chunk: bigint, overrideName?: string): void {
    const times = { creationTimeS: chunk, overrideName };
    this.#chunks.registry.open(this.holder, chunkOpen(chunk, times));
  }

  join(chunk: bigint): boolean {
    return this.#chunks.registry.join(this.holder, chunk);
  }

  /** Its stream goes over to the current chunk, and makes its directory there. */
  rotate(): void {
    const next = this.holder.current;
    next?.acquire(this);
    next?.directory([this.#domain]);
    if (this.#at !== next) this.#at?.release(this);
    this.#at = next;
  }

  /** Its stream leaves for no chunk. */
  rotateToNone(): void {
    this.#at?.release(this);
    this.#at = undefined;
  }

  close(chunk: bigint, action: ChunkDone['action']): string {
    const done = { kind: 'chunkDone', session: 1, chunk, closeTimeS: 9n, action } as const;
    return this.#chunks.registry.close(this.holder, done);
  }

  leave(others: Consumer[]): void {
    this.rotateToNone();
    this.#chunks.registry.release(
      this.holder,
      others.map(({ holder }) => holder),
    );
  }
}

const chunkOpen = (chunk: bigint, more: Pick<ChunkOpen, 'creationTimeS' | 'overrideName'>): ChunkOpen => ({
  kind: 'chunkOpen',
  session: 1,
  chunk,
  ...more,
});

const time = (s: number): string => `19700101T00000${s}+0000`;

/** Both consumers in chunk 0, each with its own domain's directory. */
function pair(t: { teardown(run: () => void): void }): { chunks: Chunks; a: Consumer; b: Consumer } {
  process.env.TZ = 'UTC';
  const chunks = new Chunks(t);
  const [a, b] = [new Consumer(chunks, 1, 'ust'), new Consumer(chunks, 2, 'kernel')];
  for (const consumer of [a, b]) consumer.create(0n);
  for (const consumer of [a, b]) consumer.rotate();
  return { chunks, a, b };
}

/** Runs every merge of what A and B do, each on a pair of its own. */
function everyOrder(
  t: { teardown(run: () => void): void },
  steps: (consumer: Consumer, other: Consumer) => Array<() => void>,
  check: (played: ReturnType<typeof pair>, order: string) => void,
): void {
  const names = steps(new Consumer(new Chunks(t), 1, 'ust'), new Consumer(new Chunks(t), 2, 'ust')).map(
    (_, n) => n,
  );
  for (const order of interleavings<readonly ['a' | 'b', number]>(
    names.map((n) => ['a', n] as const),
    names.map((n) => ['b', n] as const),
  )) {
    const played = pair(t);
    const { a, b } = played;
    const todo = { a: steps(a, b), b: steps(b, a) };
    for (const [who, n] of order) todo[who][n]?.();
    check(played, order.map(([who, n]) => `${who}${n}`).join(' '));
  }
}

const rotation = (consumer: Consumer): Array<() => void> => [
  () => consumer.create(1n),
  () => consumer.rotate(),
  () => consumer.close(0n, 'moveToCompleted'),
];

test('two consumers rotate: each rename once, whatever their order', (t) => {
  everyOrder(t, rotation, ({ chunks, a, b }, order) => {
    // From and to the session's own directory the chunk's top-level directories move: that is one move of a chunk.
    t.deepEqual(
      chunks.moves,
      [
        '. -> .tmp_old_chunk',
        `.tmp_new_chunk -> ${time(1)}-1`,
        `.tmp_old_chunk -> archives/${time(0)}-${time(9)}-0`,
      ],
      order,
    );
    t.deepEqual(
      chunks.list(),
      [
        `${time(1)}-1/kernel/`,
        `${time(1)}-1/ust/`,
        `archives/${time(0)}-${time(9)}-0/kernel/`,
        `archives/${time(0)}-${time(9)}-0/ust/`,
      ],
      order,
    );
    t.deepEqual(chunks.complete, [`${sessionDirectory}/archives/${time(0)}-${time(9)}-0`], order);
    t.is(chunks.registry.size, 1, order);
    t.is(a.holder.current, b.holder.current, order);
    a.leave([b]);
    b.leave([]);
    t.is(chunks.registry.size, 0, order);
  });
});

test('two consumers clear: the old chunk is deleted once, the next one takes its place', (t) => {
  const clear = (consumer: Consumer): Array<() => void> => [
    () => consumer.create(1n),
    () => consumer.rotate(),
    () => consumer.close(0n, 'delete'),
  ];
  everyOrder(t, clear, ({ chunks, a, b }, order) => {
    t.deepEqual(chunks.moves, ['. -> .tmp_old_chunk', '.tmp_new_chunk -> .'], order);
    t.deepEqual(chunks.list(), ['kernel/', 'ust/'], order);
    a.leave([b]);
    b.leave([]);
    t.is(chunks.registry.size, 0, order);
  });
});

test('two consumers are stopped and destroyed: the last one that leaves completes the chunk', (t) => {
  const destroy = (consumer: Consumer, other: Consumer): Array<() => void> => [
    () => consumer.rotateToNone(),
    () => consumer.close(0n, 'moveToCompleted'),
    () => consumer.leave([other]),
  ];
  everyOrder(t, destroy, ({ chunks }, order) => {
    t.deepEqual(
      chunks.moves,
      ['. -> .tmp_old_chunk', `.tmp_old_chunk -> archives/${time(0)}-${time(9)}-0`],
      order,
    );
    t.is(chunks.registry.size, 0, order);
  });
});

test('two rotations in a row: the second waits for the first to be complete, or is refused', (t) => {
  const twice = (consumer: Consumer): Array<() => void> => [
    () => consumer.create(1n),
    () => consumer.rotate(),
    () => consumer.close(0n, 'moveToCompleted'),
  ];
  everyOrder(t, twice, ({ chunks, a, b }, order) => {
    for (const consumer of [a, b]) consumer.create(2n);
    for (const consumer of [a, b]) consumer.rotate();
    for (const consumer of [a, b]) consumer.close(1n, 'moveToCompleted');
    t.is(chunks.moves.length, 6, order);
    t.is(a.close(2n, 'none'), `${sessionDirectory}/archives/${time(2)}-${time(9)}-2`, order);
    t.is(chunks.registry.size, 1, order);
  });
});

test('one consumer leaves at any point of a rotation: the other completes it alone', (t) => {
  for (let left = 0; left <= 3; left += 1)
    for (let before = 0; before <= 3; before += 1) {
      const { chunks, a, b } = pair(t);
      const steps = rotation(b);
      for (const step of rotation(a).slice(0, left)) step();
      for (const step of steps.slice(0, before)) step();
      a.leave([b]);
      for (const step of steps.slice(before)) step();
      const what = `A leaves after ${left} steps, B has done ${before}`;
      t.false(
        chunks.list().some((path) => path.startsWith('.tmp')),
        what,
      );
      t.true(chunks.list().includes(`archives/${time(0)}-${time(9)}-0/ust/`), what);
      t.true(chunks.list().includes(`${time(1)}-1/kernel/`), what);
      b.leave([]);
      t.is(chunks.registry.size, 0, what);
    }
});

test('a consumer joins late through the current chunk, and rotates with the others', (t) => {
  const { chunks, a, b } = pair(t);
  const c = new Consumer(chunks, 3, 'jul');
  t.false(c.join(7n), 'a chunk that nobody has');
  t.true(c.join(0n));
  t.is(c.holder.current, a.holder.current);
  c.rotate();
  for (const step of [0, 1, 2]) for (const consumer of [c, a, b]) rotation(consumer)[step]?.();
  t.is(chunks.moves.length, 3);
  t.true(chunks.list().includes(`archives/${time(0)}-${time(9)}-0/jul/`));
  a.leave([b, c]);
  b.leave([c]);
  c.leave([]);
  t.is(chunks.registry.size, 0);
});

test('a consumer that joins a chunk on its way out goes on to the next with the others', (t) => {
  const { chunks, a, b } = pair(t);
  a.create(1n);
  const c = new Consumer(chunks, 3, 'jul');
  t.true(c.join(0n));
  for (const consumer of [b, c]) consumer.create(1n);
  t.is(c.holder.current, a.holder.current);
  for (const consumer of [a, b, c]) consumer.rotate();
  for (const consumer of [a, b, c]) consumer.close(0n, 'moveToCompleted');
  t.is(chunks.moves.length, 3);
});

test('two chunks never own one directory, also when a consumer without a chunk makes the next one', (t) => {
  const { chunks, a, b } = pair(t);
  const c = new Consumer(chunks, 3, 'jul');
  c.create(1n);
  c.rotate();
  t.deepEqual(chunks.list(), ['.tmp_old_chunk/kernel/', '.tmp_old_chunk/ust/', 'jul/']);
  for (const consumer of [a, b]) consumer.create(1n);
  for (const consumer of [a, b]) consumer.rotate();
  for (const consumer of [a, b]) consumer.close(0n, 'moveToCompleted');
  t.deepEqual(chunks.list(), [
    `${time(1)}-1/jul/`,
    `${time(1)}-1/kernel/`,
    `${time(1)}-1/ust/`,
    `archives/${time(0)}-${time(9)}-0/kernel/`,
    `archives/${time(0)}-${time(9)}-0/ust/`,
  ]);
});

test('a stopped session starts again while a stream has not left its chunk: the two lie apart', (t) => {
  const { chunks, a, b } = pair(t);
  a.rotateToNone();
  for (const consumer of [a, b]) consumer.close(0n, 'delete');
  a.create(1n);
  a.rotate();
  t.deepEqual(chunks.list(), ['.tmp_old_chunk/kernel/', '.tmp_old_chunk/ust/', 'ust/']);
  b.rotateToNone();
  t.deepEqual(chunks.list(), ['ust/']);
});

test('a third chunk is refused while the first is not complete, and nothing has moved', (t) => {
  const { chunks, a, b } = pair(t);
  for (const consumer of [a, b]) consumer.create(1n);
  a.rotate();
  for (const consumer of [a, b]) consumer.close(0n, 'moveToCompleted');
  const before = [...chunks.moves];
  t.throws(() => a.create(2n), { code: 'MR_ERR_RELAY_CHUNK' });
  t.deepEqual(chunks.moves, before);
  b.rotate();
  a.create(2n);
  t.deepEqual(
    chunks.list().filter((path) => path.startsWith('.tmp')),
    ['.tmp_new_chunk/', '.tmp_old_chunk/kernel/', '.tmp_old_chunk/ust/'],
  );
});

test('the registry itself is no user: a chunk leaves it with its last one', (t) => {
  const { chunks, a, b } = pair(t);
  const chunk = a.holder.current as TraceChunk;
  t.is(chunk.users, 4);
  a.leave([b]);
  t.is(chunk.users, 2);
  t.is(chunks.registry.size, 1);
  b.leave([]);
  t.is(chunk.users, 0);
  t.is(chunks.registry.size, 0);
  t.false(b.join(0n));
});

test('what the files of others keep is not deleted with a chunk', (t) => {
  const { chunks, a, b } = pair(t);
  const { directory } = (a.holder.current as TraceChunk).directory(['ust']);
  writeFileSync(join(directory, 'notes.txt'), 'not ours');
  for (const consumer of [a, b]) consumer.rotateToNone();
  for (const consumer of [a, b]) consumer.close(0n, 'delete');
  t.deepEqual(chunks.list(), ['ust/notes.txt']);
});
