/** One of several exports of a server moves; the others are served on. */
import { existsSync, readFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { mirrorOfExport } from '../../../lib/nbd/migration/server-door.ts';
import { NbdServer } from '../../../lib/nbd/server/server.ts';
import { holding } from '../../fakes/nbd/destination/holding.ts';
import { FakeDestination } from '../../fakes/nbd/destination.ts';
import { noise } from '../../helpers/bytes.ts';
import { testListener } from '../../helpers/listener.ts';
import { mirrorTo } from '../../helpers/mirror.ts';
import { client, mib, newImage, RawClient } from '../../helpers/nbd.ts';
import { clientFlags, errors, exportQuery, option, optionReply } from '../../helpers/nbd-bytes.ts';
import { test } from '../../helpers/serial.ts';

async function served(t: ExecutionContext) {
  const exports = [
    { name: 'one', image: await newImage(t, mib, [[0, noise(mib, 1)]]) },
    { name: 'two', image: await newImage(t, mib, [[0, noise(mib, 2)]]) },
  ] as const;
  const server = new NbdServer({ listen: [{ host: '127.0.0.1', port: 0 }], exports });
  await server.start();
  const [one, two] = exports.map((each) => mirrorOfExport(server, each));
  if (one === undefined || two === undefined) throw new Error('two mirrors');
  t.teardown(async () => {
    await Promise.all([one.stop(), two.stop()]);
    await server.close(100);
  });
  const { port } = server.addresses[0] as { port: number };
  return { exports, server, one, two, port };
}

const shutdown = 0x80000007;

/** The type of the reply to GO. */
async function goes(t: ExecutionContext, port: number, name: string): Promise<number> {
  const raw = new RawClient(t, port);
  await raw.take(18);
  raw.say(clientFlags, option(7, exportQuery(name)));
  const reply = await raw.take(20);
  t.true(reply.subarray(0, 12).equals(optionReply(7, 0).subarray(0, 12)));
  raw.socket.destroy();
  return reply.readUInt32BE(12);
}

test('its clients are shut out, those of the others notice nothing; then it is gone, and no other takes its place', async (t) => {
  const { exports, server, one, port } = await served(t);
  const mine = await client(t, port, { exportName: 'one' });
  const theirs = await client(t, port, { exportName: 'two' });
  let flushes = 0;
  const held = holding(({ type }) => {
    if (type === 3) flushes += 1;
    return flushes > 1;
  });
  const to = await FakeDestination.start(t, mib, held.sin);
  await mine.write(noise(4096, 3), 0, 4096, 8192);
  await one.start(mirrorTo(to, { action: 'unlink' }));
  // the last pass: nobody is in
  await to.until(() => held.held === 1);
  await t.throwsAsync(mine.flush());
  t.deepEqual(
    server.status().clients.map(({ exportName }) => exportName),
    ['two'],
  );
  t.is(await goes(t, port, 'one'), shutdown);
  t.is(await goes(t, port, ''), shutdown);
  await theirs.write(noise(4096, 4), 0, 4096, 0);
  held.release();
  await one.gone;
  server.drop(exports[0]);
  t.is(await goes(t, port, 'one'), errors.unknown);
  t.is(await goes(t, port, ''), errors.unknown);
  t.false(existsSync(exports[0].image.path));
  const expected = noise(mib, 1);
  noise(4096, 3).copy(expected, 8192);
  t.true(to.image.equals(expected));
  await theirs.flush();
  t.true(readFileSync(exports[1].image.path).subarray(0, 4096).equals(noise(4096, 4)));
});

test('broken off in the final stage, its clients are let in again', async (t) => {
  const { one, port } = await served(t);
  let flushes = 0;
  const held = holding(({ type }) => {
    if (type === 3) flushes += 1;
    return flushes > 1;
  });
  const to = await FakeDestination.start(t, mib, held.sin);
  await one.start(mirrorTo(to));
  await to.until(() => held.held === 1);
  t.is(await goes(t, port, 'one'), shutdown);
  t.is(await one.break(), 'stopped');
  t.is(await goes(t, port, 'one'), 3);
});

test('two of them move at a time, each to its own place', async (t) => {
  const { exports, one, two } = await served(t);
  const to = [await testListener(t, mib), await testListener(t, mib)] as const;
  await Promise.all([one.start(mirrorTo(to[0])), two.start(mirrorTo(to[1]))]);
  await Promise.all([one.gone, two.gone, to[0].listener.completed, to[1].listener.completed]);
  for (const n of [0, 1] as const) t.true(to[n].bytes().equals(readFileSync(exports[n].image.path)));
  t.like(two.happenings.since(0).at(-1), { event: 'done', facts: { exportName: 'two' } });
});

test('who has agreed on the export and not begun when it is shut is let go', async (t) => {
  const { exports, server, port } = await served(t);
  for (let turns = 0; turns < 12; turns += 1) {
    const raw = new RawClient(t, port);
    await raw.take(18);
    raw.say(clientFlags, option(7, exportQuery('one')));
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    await server.shutOut(1000, exports[0]);
    const said = await Promise.race([
      raw.closed,
      raw.take(1000).then(() => raw.closed),
      new Promise<Buffer>((resolve) => setTimeout(() => resolve(Buffer.from('late')), 200)),
    ]);
    // closed, or still haggling and told that it cannot have it
    const inside = server.status().clients.filter(({ exportName }) => exportName === 'one');
    t.deepEqual(inside, [], `${turns}: ${said.length}`);
    raw.socket.destroy();
    server.admit(exports[0]);
  }
});
