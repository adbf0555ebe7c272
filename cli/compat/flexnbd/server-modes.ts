/** The modes that serve: until a signal, or until the disk has changed hands. Source: nbd-migration, C.1, C.2, D.7. */
import { loadFlexnbd, tell, why } from '../../../lib/index.ts';
import type { Context } from '../../context.ts';
import { addressOf, portOf } from './arguments.ts';
import { openFlexnbdLog } from './log.ts';
import type { Mode } from './mode.ts';
import { type FlexnbdSettings, options } from './options.ts';

const stopping = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

interface StopSignal {
  came: Promise<void>;
  /** The same. */
  signal: AbortSignal;
  /** A second one: to end at once. */
  again: Promise<void>;
  forget: () => void;
}

/** The first of flexnbd's stop signals, and the second. */
function untilSignal(context: Context): StopSignal {
  const abort = new AbortController();
  let second = (): void => undefined;
  const again = new Promise<void>((resolve) => {
    second = resolve;
  });
  const undo = stopping.map((name) =>
    context.onSignal(name, () => {
      if (abort.signal.aborted) second();
      else abort.abort(new Error(`ended by ${name}`));
    }),
  );
  return {
    again,
    came: new Promise((resolve) => {
      abort.signal.addEventListener('abort', () => resolve(), { once: true });
    }),
    signal: abort.signal,
    forget: () => {
      for (const each of undo) each();
    },
  };
}

/** Runs `work` with a log that calls it `name`; what it rejects with is fatal. */
export async function logged(
  context: Context,
  settings: FlexnbdSettings,
  name: string,
  work: (stop: StopSignal) => Promise<number>,
): Promise<number> {
  const log = openFlexnbdLog(context.stderr, context.pid, settings.verbosity, name);
  const stop = untilSignal(context);
  try {
    return await Promise.race([work(stop), stop.again.then(() => 1)]);
  } catch (error) {
    log.fatal(why(error));
    return 1;
  } finally {
    stop.forget();
    log.close();
  }
}

function served(settings: FlexnbdSettings, entries: readonly string[]) {
  const { file = '', sock } = settings;
  return {
    host: addressOf(settings.addr),
    port: portOf(settings.port),
    path: file,
    entries,
    defaultDeny: settings['default-deny'],
    ...(sock === undefined ? {} : { sock }),
  };
}

const common = [options.addr, options.port, options.file, options.sock, options.defaultDeny];

export const serve: Mode = {
  name: 'serve',
  summary: 'Serves a file, until a signal or until it was migrated.',
  operands: '[ACL entry]...',
  options: [...common, options.killswitch],
  required: ['addr', 'port', 'file'],
  run: (context, settings, entries) =>
    logged(context, settings, settings.file ?? '', async (stop) => {
      const { FlexnbdServer } = await loadFlexnbd();
      const seconds = Number(context.env.FLEXNBD_MS_REQUEST_LIMIT_SECS);
      const server = await FlexnbdServer.start(
        {
          ...served(settings, entries),
          killswitch: settings.killswitch,
          ...(seconds > 0 ? { mirrorRequestMs: seconds * 1000 } : {}),
        },
        stop.signal,
      );
      tell('info', 'nbd:serving', `Serving file ${settings.file}`);
      await Promise.race([stop.came, server.gone]);
      return (await server.stop()) ? 1 : 0;
    }),
};

export const listen: Mode = {
  name: 'listen',
  summary: 'Takes one migration into a file that exists and has the right size.',
  operands: '[ACL entry]...',
  options: [...common, options.anyDisconnect],
  required: ['addr', 'port', 'file'],
  run: (context, settings, entries) =>
    logged(context, settings, settings.file ?? '', async (stop) => {
      const { FlexnbdListener } = await loadFlexnbd();
      const listener = await FlexnbdListener.start(
        { ...served(settings, entries), anyDisconnect: settings['any-disconnect'] },
        stop.signal,
      );
      tell('info', 'nbd:listening', `Waiting for a migration into ${settings.file}`);
      try {
        await Promise.race([stop.came, listener.completed]);
      } finally {
        await listener.stop();
      }
      return listener.listener.hasControl ? 0 : 1;
    }),
};
