/** A server in this process, from its settings to its end. What is acquired is released in the reverse order. */
import { resolve } from 'node:path';
import {
  type Export,
  inheritedSockets,
  loadNbd,
  type Mirror,
  type NbdServer,
  type NbdServerOptions,
} from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { readiness } from '../relay/readiness.ts';
import { logLevel, runService, type Service } from '../service.ts';
import { usageError } from '../usage.ts';
import { unbracketed } from './common-options.ts';
import { serverCommands } from './control.ts';
import { mirrorCommands } from './migration.ts';
import type { ServeSettings } from './serve-options.ts';
import { tlsOf } from './tls-options.ts';

/** How long whoever follows a migration has to fetch its end. */
const farewellMs = 1000;

/**
 * Serves `images` until a signal or `stop` on the control socket, or until the last disk has gone to another host. Resolves to
 * the exit status: 0, 1 when a migration was cut short, or 128 and the number of a second signal. Rejects when it cannot
 * start.
 */
export async function runServer(
  context: Context,
  settings: ServeSettings,
  images: readonly { name: string; path: string }[],
): Promise<number> {
  const level = logLevel('warn', settings.verbosity);
  return await runService(context, { level, logFormat: settings.logFormat }, async (service) => {
    const { signals } = service;
    const { NbdServer, mirrorOf, mirrorOfExport } = await loadNbd();
    const exports = await openExports(context, settings, images, service);
    const server = new NbdServer(await optionsOf(context, settings, exports));
    const mirrors = new Map<string, Mirror>();
    for (const served of settings.readOnly ? [] : exports)
      mirrors.set(
        served.name,
        exports.length === 1 ? mirrorOf(server, served.image) : mirrorOfExport(server, served),
      );
    let stays = false;
    const end = new AbortController();
    const stopped = signals.first.then(() => end.abort());
    await server.start({ signal: end.signal }).catch((error: unknown) => {
      if (!end.signal.aborted) throw error;
    });
    // what it says on the socket must be true: it listens
    const commands = mirrorCommands(mirrors, (yes) => {
      stays = yes;
    });
    const control = end.signal.aborted
      ? undefined
      : await service
          .control(settings.control, { ...serverCommands(server), ...commands })
          .catch(async (error: unknown) => {
            await server.close(0);
            throw error;
          });
    const manager = readiness(context);
    manager.ready();
    const gone = allGone(server, exports, mirrors).then((last) =>
      stays ? stopped : last.happenings.fetched(farewellMs),
    );
    await Promise.race([stopped, gone]);
    manager.stopping();
    // the control socket goes first: nothing it runs can be waited for
    await control?.close();
    const now = signals.second.then((number) => 128 + number);
    const close = async (): Promise<number> => {
      // a migration that is cut short must not be taken for one that was completed
      const cutShort = await Promise.all([...mirrors.values()].map((mirror) => mirror.stop()));
      await server.close();
      return cutShort.includes(true) ? 1 : 0;
    };
    return await Promise.race([now, close()]);
  });
}

async function openExports(
  context: Context,
  { readOnly }: ServeSettings,
  images: readonly { name: string; path: string }[],
  { owns }: Service,
): Promise<Export[]> {
  const { Image } = await loadNbd();
  const exports: Export[] = [];
  for (const { name, path } of images) {
    if (exports.some((other) => other.name === name)) throw usageError(`two exports have the name "${name}"`);
    const image = new Image(resolve(context.cwd, path), { readOnly });
    owns(() => image.close());
    exports.push({ name, image });
  }
  return exports;
}

async function optionsOf(
  context: Context,
  settings: ServeSettings,
  exports: readonly Export[],
): Promise<NbdServerOptions> {
  const { AccessList } = await loadNbd();
  const tls = await tlsOf(settings, settings.tls);
  const { allowed, defaultDeny, killswitchS, maxClients, oldstyle, sync } = settings;
  return {
    listen: listenAddresses(context, settings),
    exports,
    style: oldstyle ? 'oldstyle' : 'newstyle',
    access: new AccessList(allowed, { defaultDeny }),
    maxClients,
    ...(sync === undefined ? {} : { durable: sync === 'write' }),
    ...(killswitchS === undefined ? {} : { killswitchMs: killswitchS * 1000 }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** Drops each export whose disk has gone, and resolves with the last one's migration when there is none left. */
async function allGone(
  server: NbdServer,
  exports: readonly Export[],
  mirrors: ReadonlyMap<string, Mirror>,
): Promise<Mirror> {
  return await new Promise((resolve) => {
    for (const served of exports) {
      const mirror = mirrors.get(served.name);
      void mirror?.gone.then(async () => {
        if (exports.length > 1) {
          server.drop(served);
          await served.image.close();
        }
        if (exports.length === 1 || server.exports.length === 0) resolve(mirror);
      });
    }
  });
}

function listenAddresses(context: Context, settings: ServeSettings): NbdServerOptions['listen'] {
  const inherited = inheritedSockets(context.env, context.pid);
  if (inherited.length > 0) return inherited;
  const { addresses, port, sockets } = settings;
  const unix = sockets.map((path) => ({ path: resolve(context.cwd, path) }));
  const hosts = addresses.length === 0 && unix.length === 0 ? ['::'] : addresses;
  return [...hosts.map((host) => ({ host: unbracketed(host), port })), ...unix];
}
