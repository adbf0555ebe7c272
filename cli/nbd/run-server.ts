/** A server in this process, from its settings to its end. What is acquired is released in the reverse order. */
import { resolve } from 'node:path';
import {
  type Export,
  inheritedSockets,
  type Level,
  loadNbd,
  type NbdServerOptions,
  openLog,
  serveControl,
} from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { readiness } from '../relay/readiness.ts';
import { watchSignals } from '../relay/stop-signals.ts';
import { usageError } from '../usage.ts';
import { levels } from './common-options.ts';
import { serverCommands } from './control.ts';
import { mirrorCommands } from './migration.ts';
import type { ServeSettings } from './serve-options.ts';
import { tlsOf } from './tls-options.ts';

/** How long whoever follows a migration has to fetch its end. */
const farewellMs = 1000;

/**
 * Serves `images` until a signal or `stop` on the control socket, or until the disk has gone to another host. Resolves to
 * the exit status: 0, 1 when a migration was cut short, or 128 and the number of a second signal. Rejects when it cannot
 * start.
 */
export async function runServer(
  context: Context,
  settings: ServeSettings,
  images: readonly { name: string; path: string }[],
): Promise<number> {
  const releases: (() => void | Promise<void>)[] = [];
  const signals = watchSignals(context);
  releases.push(() => signals.forget());
  const level = levels[Math.min(settings.verbosity, levels.length - 1)] as Level;
  const log = openLog({ stream: context.stderr, format: settings.logFormat, level });
  releases.push(() => log.close());
  try {
    const { AccessList, Image, mirrorOf, NbdServer } = await loadNbd();
    const exports: Export[] = [];
    for (const { name, path } of images) {
      if (exports.some((other) => other.name === name))
        throw usageError(`two exports have the name "${name}"`);
      const image = new Image(resolve(context.cwd, path), { readOnly: settings.readOnly });
      releases.push(() => image.close());
      exports.push({ name, image });
    }
    const tls = await tlsOf(settings, settings.tls);
    const { defaultDeny, killswitchS, maxClients, oldstyle, sync } = settings;
    const options: NbdServerOptions = {
      listen: listenAddresses(context, settings),
      exports,
      style: oldstyle ? 'oldstyle' : 'newstyle',
      access: new AccessList(settings.allowed, { defaultDeny }),
      maxClients,
      ...(sync === undefined ? {} : { durable: sync === 'write' }),
      ...(killswitchS === undefined ? {} : { killswitchMs: killswitchS * 1000 }),
      ...(tls === undefined ? {} : { tls }),
    };
    const server = new NbdServer(options);
    const [only] = exports;
    // one disk that may change is one that may move
    const moves = exports.length === 1 && !settings.readOnly;
    const mirror = only !== undefined && moves ? mirrorOf(server, only.image) : undefined;
    let stays = false;
    const end = new AbortController();
    const stopped = signals.first.then(() => end.abort());
    await server.start({ signal: end.signal }).catch((error: unknown) => {
      if (!end.signal.aborted) throw error;
    });
    // what it says on the socket must be true: it listens
    if (settings.control !== undefined && !end.signal.aborted) {
      const more =
        mirror === undefined
          ? {}
          : mirrorCommands(mirror, (yes) => {
              stays = yes;
            });
      const commands = serverCommands(server, log, () => signals.stop(), more);
      const control = await serveControl(resolve(context.cwd, settings.control), commands).catch(
        async (error: unknown) => {
          await server.close(0);
          throw error;
        },
      );
      releases.push(() => control.close());
    }
    const manager = readiness(context);
    manager.ready();
    const gone = mirror?.gone.then(() => (stays ? stopped : mirror.happenings.fetched(farewellMs)));
    await (gone === undefined ? stopped : Promise.race([stopped, gone]));
    manager.stopping();
    // the control socket goes first: nothing it runs can be waited for
    if (settings.control !== undefined) await releases.pop()?.();
    const now = signals.second.then((number) => 128 + number);
    const close = async (): Promise<number> => {
      // a migration that is cut short must not be taken for one that was completed
      const cutShort = (await mirror?.stop()) ?? false;
      await server.close();
      return cutShort ? 1 : 0;
    };
    return await Promise.race([now, close()]);
  } finally {
    for (const release of releases.reverse()) await release();
  }
}

function listenAddresses(context: Context, settings: ServeSettings): NbdServerOptions['listen'] {
  const inherited = inheritedSockets(context.env, context.pid);
  if (inherited.length > 0) return inherited;
  const { addresses, port, sockets } = settings;
  const unix = sockets.map((path) => ({ path: resolve(context.cwd, path) }));
  const hosts = addresses.length === 0 && unix.length === 0 ? ['::'] : addresses;
  return [...hosts.map((host) => ({ host: host.replace(/^\[(.*)\]$/, '$1'), port })), ...unix];
}
