/** flexnbd-proxy's command line. Source: nbd-migration, C.1, C.2, C.9. */
import { loadFlexnbd, tell } from '../../../lib/index.ts';
import { addressOf, bytesOf, portOf } from './arguments.ts';
import type { Mode } from './mode.ts';
import { type FlexnbdSettings, options } from './options.ts';
import { logged } from './server-modes.ts';

export const proxy: Mode = {
  name: 'proxy',
  summary: 'Stands between a client and a server, and connects anew whenever the server is lost.',
  options: [options.addr, options.port, options.connAddr, options.connPort, options.bind, options.cache],
  required: ['addr', 'conn-addr', 'conn-port'],
  prepare: gluedCache,
  run: (context, settings) =>
    logged(context, settings, `${settings['conn-addr']}:${settings['conn-port']}`, async (stop) => {
      const { NbdProxy } = await loadFlexnbd();
      const seconds = Number(context.env.FLEXNBD_UPSTREAM_TIMEOUT);
      const running = await NbdProxy.start({
        listen: listenAddress(settings),
        upstream: {
          address: { host: addressOf(settings['conn-addr']), port: portOf(settings['conn-port']) },
          exportName: '',
          signal: stop.signal,
          ...(settings.bind === undefined ? {} : { localAddress: addressOf(settings.bind) }),
        },
        ...(settings.cache === undefined ? {} : { cacheBytes: bytesOf(settings.cache) }),
        ...(Number.isInteger(seconds) && seconds > 0 ? { silenceMs: seconds * 1000 } : {}),
      });
      tell('info', 'nbd:proxying', `Proxy for ${settings['conn-addr']}:${settings['conn-port']}`);
      await stop.came;
      await running.close();
      return 0;
    }),
};

/** What begins with a slash is the path of a Unix socket. */
function listenAddress({
  addr = '',
  port,
}: FlexnbdSettings): { host: string; port: number } | { path: string } {
  return addr.startsWith('/') ? { path: addr } : { host: addressOf(addr), port: portOf(port) };
}

/** `--cache` and `-c` may stand without a value, which is then 4096; one that they have is glued to them. */
function gluedCache(argv: readonly string[]): string[] {
  return argv.map((word) => (word === '--cache' || word === '-c' ? '--cache=4096' : word));
}
