import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Duplex, Readable, Writable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import type { ByteBatch } from '../../lib/stage/batch.ts';
import { compose, type Outcome } from '../../lib/stage/compose.ts';
import { objectStage } from '../../lib/stage/stage.ts';
import { tick } from '../helpers/frames.ts';
import { type Batch, bytes, pooled, sinkInto, stalledSink } from '../helpers/pipes.ts';

const some = (count: number) => pooled(count, bytes);

/** Has all batches in its own queue at once. */
const fill = (batches: ByteBatch[], end = true): Readable => {
  const source = new Readable({ objectMode: true, highWaterMark: batches.length + 1, read() {} });
  for (const batch of batches) source.push(batch);
  if (end) source.push(null);
  return source;
};

const passOn = (): Duplex =>
  objectStage<ByteBatch, ByteBatch>('pass', { transform: (batch, push) => push(batch) });

test('compose: a pipe that ran dry ends, and every slab went home', async (t) => {
  const { pool, batches } = some(5);
  const taken: Batch[] = [];
  const told: Outcome[] = [];
  const { outcome } = compose(
    [
      { name: 'source', stream: fill(batches) },
      { name: 'pass', stream: passOn() },
      { name: 'sink', stream: sinkInto(taken) },
    ],
    (how) => told.push(how),
  );
  t.deepEqual(await outcome, { kind: 'end' });
  await tick();
  t.deepEqual(told, [{ kind: 'end' }]);
  t.deepEqual(taken, batches);
  t.is(pool.inUse, 0);
});

for (const at of [0, 1, 2, 3] as const) {
  const names = ['source', 'first', 'second', 'sink'] as const;

  const build = () => {
    const { pool, batches } = some(12);
    const streams = [fill(batches, false), passOn(), passOn(), stalledSink(2)] as const;
    const pipe = compose(names.map((name, i) => ({ name, stream: streams[i] as Duplex })));
    return { pool, pipe, victim: streams[at] };
  };

  test(`compose: an error in ${names[at]} is named, and all that waited anywhere goes home`, async (t) => {
    const { pool, pipe, victim } = build();
    await tick();
    t.is(pool.inUse, 12);
    const error = new MillraceError('MR_ERR_STAGE_CUT', { got: 1, unit: 'frames' });
    victim.destroy(error);
    t.deepEqual(await pipe.outcome, { kind: 'error', stage: names[at], error });
    t.is(pool.inUse, 0);
  });

  test(`compose: ${names[at]} destroyed without an error before its end is an abort`, async (t) => {
    const { pool, pipe, victim } = build();
    await tick();
    victim.destroy();
    t.deepEqual(await pipe.outcome, { kind: 'abort', stage: names[at] });
    t.is(pool.inUse, 0);
  });

  test(`compose: ${names[at]} was already destroyed: the outcome comes all the same`, async (t) => {
    const { pool, batches } = some(3);
    const streams = [fill(batches), passOn(), passOn(), sinkInto([])] as const;
    streams[at].destroy();
    const { outcome } = compose(names.map((name, i) => ({ name, stream: streams[i] as Duplex })));
    t.deepEqual(await outcome, { kind: 'abort', stage: names[at] });
    t.is(pool.inUse, 0);
  });
}

test('compose: an error that a stream only emits is an error of that stage', async (t) => {
  const middle = passOn();
  const { outcome } = compose([
    { name: 'source', stream: fill([], false) },
    { name: 'middle', stream: middle },
    { name: 'sink', stream: sinkInto([]) },
  ]);
  middle.emit('error', new Error('only said'));
  const how = await outcome;
  t.is(how.kind === 'error' ? how.stage : how.kind, 'middle');
});

test('compose: a foreign error is wrapped with its cause', async (t) => {
  const cause = Object.assign(new Error('no more'), { code: 'ENOSPC' });
  const source = fill([], false);
  const { outcome } = compose([
    { name: 'source', stream: source },
    { name: 'sink', stream: sinkInto([]) },
  ]);
  source.destroy(cause);
  const how = await outcome;
  if (how.kind !== 'error') return t.fail(how.kind);
  t.is(how.error.code, 'MR_ERR_STAGE_FAILED');
  t.is(how.error.message, 'stage source failed: ENOSPC: no more');
  t.is(how.error.cause, cause);
});

test('compose: the owner aborts, with and without a cause', async (t) => {
  const build = () => {
    const { pool, batches } = some(6);
    const pipe = compose([
      { name: 'source', stream: fill(batches, false) },
      { name: 'pass', stream: passOn() },
      { name: 'sink', stream: stalledSink(2) },
    ]);
    return { pool, pipe };
  };
  const plain = build();
  await tick();
  plain.pipe.abort();
  t.deepEqual(await plain.pipe.outcome, { kind: 'abort', stage: 'owner' });
  t.is(plain.pool.inUse, 0);

  const caused = build();
  await tick();
  const error = new MillraceError('MR_ERR_STAGE_STALLED', { what: 'sink', seconds: 3 });
  caused.pipe.abort(error);
  caused.pipe.abort();
  t.deepEqual(await caused.pipe.outcome, { kind: 'error', stage: 'owner', error });
  t.is(caused.pool.inUse, 0);
});

test('compose: a stage that ends in the middle truncates the pipe, which ends; the rest goes home', async (t) => {
  const { pool, batches } = some(12);
  const taken: Batch[] = [];
  let seen = 0;
  const cut: Duplex = objectStage<ByteBatch, ByteBatch>('cut', {
    transform(batch, push) {
      seen += 1;
      if (seen <= 2) push(batch);
      else batch.slab.release();
      if (seen === 3) cut.push(null);
    },
  });
  const { outcome } = compose([
    { name: 'source', stream: fill(batches, false) },
    { name: 'cut', stream: cut },
    { name: 'sink', stream: sinkInto(taken) },
  ]);
  t.deepEqual(await outcome, { kind: 'end' });
  t.is(taken.length, 2);
  t.is(pool.inUse, 0);
});

test('compose: the outcome of a failure waits until the last stage has cleaned up', async (t) => {
  const { pool, batches } = some(4);
  const [late] = batches as [ByteBatch];
  const source = new Readable({
    objectMode: true,
    read() {},
    destroy(error, callback) {
      setImmediate(() => {
        late.slab.release();
        callback(error);
      });
    },
  });
  for (const batch of batches.slice(1)) source.push(batch);
  const pipe = compose([
    { name: 'source', stream: source },
    { name: 'sink', stream: stalledSink(2) },
  ]);
  pipe.abort();
  await pipe.outcome;
  t.is(pool.inUse, 0);
});

test('compose: what a source still hands over while its sink is being destroyed is not lost', async (t) => {
  const { pool, batches } = some(4);
  const source = fill(batches.slice(0, 1), false);
  const sink = stalledSink(8);
  const { outcome } = compose([
    { name: 'source', stream: source },
    { name: 'pass', stream: passOn() },
    { name: 'sink', stream: sink },
  ]);
  await tick();
  source.push(batches[1]);
  sink.destroy(new Error('broken'));
  for (const batch of batches.slice(2)) if (source.destroyed || !source.push(batch)) batch.slab.release();
  const how = await outcome;
  t.is(how.kind === 'error' ? how.stage : how.kind, 'sink');
  t.is(pool.inUse, 0);
});

async function sockets(t: ExecutionContext): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const near = connect({ port: (server.address() as { port: number }).port, allowHalfOpen: true });
  const [far] = (await accepted) as [Socket];
  t.teardown(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

const echo = (): Duplex =>
  new Duplex({
    read() {},
    write(bytes, _encoding, callback) {
      this.push(bytes);
      callback();
    },
    final(callback) {
      this.push(null);
      callback();
    },
  });

test('compose: one socket is source and sink; the peer that ends is answered and the pipe ends', async (t) => {
  const [near, far] = await sockets(t);
  const { outcome } = compose([
    { name: 'socket', stream: far },
    { name: 'echo', stream: echo() },
    { name: 'socket', stream: far },
  ]);
  near.end('hello');
  const [reply] = await once(near, 'data');
  t.is(String(reply), 'hello');
  t.deepEqual(await outcome, { kind: 'end' });
});

test('compose: a reset by the peer is an error of the socket, a destroyed socket an abort', async (t) => {
  const [near, far] = await sockets(t);
  const reset = compose([
    { name: 'socket', stream: far },
    { name: 'echo', stream: echo() },
    { name: 'socket', stream: far },
  ]);
  near.resetAndDestroy();
  const how = await reset.outcome;
  if (how.kind !== 'error') return t.fail(how.kind);
  t.is(how.stage, 'socket');
  t.is((how.error.cause as NodeJS.ErrnoException).code, 'ECONNRESET');

  const [, other] = await sockets(t);
  const aborted = compose([
    { name: 'socket', stream: other },
    { name: 'echo', stream: echo() },
    { name: 'socket', stream: other },
  ]);
  other.destroy();
  t.deepEqual(await aborted.outcome, { kind: 'abort', stage: 'socket' });
});

test('compose: a failure closes both directions of a half-open socket', async (t) => {
  const [near, far] = await sockets(t);
  const sink = new Writable({ write() {} });
  const { outcome } = compose([
    { name: 'socket', stream: far },
    { name: 'bytes', stream: echo() },
    { name: 'sink', stream: sink },
  ]);
  near.end('x');
  await once(far, 'end');
  sink.destroy(new Error('failed'));
  await outcome;
  t.true(far.destroyed);
});
