/** Whatever step of a migration fails, once: one clean-up, and the next works. Numbers in titles are those of nbd-migration, E. */
import { readdirSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Mirror } from '../../../lib/nbd/migration/mirror.ts';
import type { MirroredImage, MirrorSource } from '../../../lib/nbd/migration/source.ts';
import { FakeDestination, type Sin } from '../../fakes/nbd/destination.ts';
import { noise } from '../../helpers/bytes.ts';
import { isThere, mirrorTo, testSource } from '../../helpers/mirror.ts';
import { test } from '../../helpers/serial.ts';

const mib = 1024 * 1024;
const size = 192 * 1024;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Resolves when so few descriptors are open again. */
async function hasDescriptors(count: number): Promise<void> {
  while (descriptors() > count) await delay(2);
}

/** A source of which call number `nth` of all that a migration makes fails: before it has an effect, or behind it. */
function faulty(source: MirrorSource, nth: number): MirrorSource & { failed: string | undefined } {
  let calls = 0;
  const unlinking = wrap('source', source);
  const self = {
    image: wrap('image', source.image) as MirroredImage,
    door: wrap('door', source.door),
    unlink: () => unlinking.unlink(),
    failed: undefined as string | undefined,
  };
  function wrap<T extends object>(name: string, target: T): T {
    return new Proxy(target, {
      get(_, key) {
        const value = Reflect.get(target, key, target) as unknown;
        if (typeof value !== 'function') return value;
        // these cannot fail
        if (key === 'onWrite' || key === 'hold') return value.bind(target);
        return (...args: unknown[]): unknown => {
          calls += 1;
          if (calls !== nth) return value.apply(target, args);
          self.failed = `${name}.${String(key)}`;
          if (key === 'unlink') throw new Error('a fault');
          // doors fail when they have done half of it
          if (name === 'door') return Promise.resolve(value.apply(target, args)).then(fail);
          return Promise.reject(new Error('a fault'));
        };
      },
    });
  }
  return self;
}

function fail(): never {
  throw new Error('a fault');
}

test('L11, L13: whichever step at the source fails, the migration is tried again and ends well; nothing is left open', async (t) => {
  const seen = new Set<string>();
  for (let nth = 1; ; nth += 1) {
    const source = await testSource(t, size);
    const to = await FakeDestination.start(t, size, { flags: 0x4d });
    const before = descriptors();
    const broken = faulty({ ...source, unlink: () => rmSync(source.path) }, nth);
    const mirror = new Mirror(broken);
    // what happens to it meanwhile is not lost either
    const written = source.write(512 * nth, noise(512, nth));
    await mirror.start(mirrorTo(to, { action: 'unlink' }));
    await Promise.all([mirror.gone, written]);
    t.true(to.image.equals(source.bytes), broken.failed);
    t.false(isThere(source.path));
    t.is(to.connections, broken.failed === undefined || broken.failed === 'door.open' ? 1 : 2, broken.failed);
    await hasDescriptors(before);
    to.stop();
    await source.image.close();
    if (broken.failed === undefined) break;
    seen.add(broken.failed);
  }
  t.deepEqual([...seen].sort(), ['door.shut', 'door.stop', 'image.extents', 'image.read', 'source.unlink']);
});

/** Cuts the connection at its `nth` event: when it comes, at each request, and before each reply. */
function cutAt(nth: number): Sin & { event: string | undefined } {
  let events = 0;
  const self: Sin & { event: string | undefined } = {
    event: undefined,
    flags: 0x4d,
    connect: (socket) => {
      if (!isNow('connect')) return false;
      socket.destroy();
      return true;
    },
    request: (peer, { type }) => {
      // a lost DISC is another matter: it is the listener's, and the table's of D.5
      if (type === 2 || !isNow(`request ${type}`)) return false;
      peer.socket.destroy();
      return true;
    },
  };
  const isNow = (what: string): boolean => {
    events += 1;
    if (events === nth) self.event = what;
    return events === nth;
  };
  return self;
}

test('L13: wherever the destination is lost, the first attempt is reported, later ones are tried again; nothing is left open', async (t) => {
  const seen = new Set<string>();
  for (let nth = 1; ; nth += 1) {
    const source = await testSource(t, 2 * mib, { holes: true });
    await source.image.mapped;
    const sin = cutAt(nth);
    const to = await FakeDestination.start(t, 2 * mib, sin);
    const before = descriptors();
    const { mirror } = source;
    const start = () => mirror.start(mirrorTo(to));
    const first = await start().then(
      () => 'started',
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (sin.event === 'connect') {
      t.is(first, 'MR_ERR_NBD_MIRROR_REJECTED');
      t.is(mirror.state, 'idle');
      await hasDescriptors(before);
      await start();
    } else t.is(first, 'started');
    await mirror.gone;
    t.true(to.image.equals(source.bytes), sin.event);
    await hasDescriptors(before);
    to.stop();
    await source.image.close();
    if (sin.event === undefined) break;
    seen.add(sin.event);
  }
  t.deepEqual([...seen].sort(), ['connect', 'request 1', 'request 3', 'request 6']);
});

test('L13, L25: broken off at any moment, a migration leaves nothing open, and the next one ends well', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  const before = descriptors();
  for (let turns = 0; turns < 60; turns += 1) {
    const starting = source.mirror.start(mirrorTo(to, { action: 'nothing' })).catch(() => undefined);
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    await source.mirror.break();
    await starting;
    t.is(source.mirror.state, 'idle');
    t.true(source.door.isOpen);
    await hasDescriptors(before);
    // no client is held back by what is gone
    await source.write(0, noise(512, turns));
  }
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  t.true(to.image.equals(source.bytes));
});
