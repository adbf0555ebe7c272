/** What a long-running command has around its work: signals, a log, a control socket, and what is to be released at the end. */
import { resolve } from 'node:path';
import { type ControlServer, type Level, type Log, openLog, serveControl } from '../lib/index.ts';
import type { Context } from './context.ts';
import { controlTable, logLevelCommand, type Served, stopCommand } from './control-table.ts';
import { type StopSignals, watchSignals } from './relay/stop-signals.ts';

/** The level of the log for each time that --verbose was given. */
const levels: readonly Level[] = ['warn', 'info', 'debug', 'trace'];

/** See the file's head. */
export interface Service {
  readonly signals: StopSignals;
  readonly log: Log;
  /** Has `release` called at the end, the last one first. */
  readonly owns: (release: () => unknown) => void;
  /**
   * Serves commands at `path`, and `stop`, `log-level` and `help` with them; undefined: nowhere. Rejects with
   * MR_ERR_CONTROL_SOCKET. The socket goes at the end, or when `close` is called before.
   */
  readonly control: (
    path: string | undefined,
    commands: Readonly<Record<string, Served>>,
  ) => Promise<ControlServer | undefined>;
}

/** Runs `work` and resolves to its exit status; whatever ends it, what it owns is released. */
export async function runService(
  context: Context,
  { verbosity, logFormat = 'text' }: { verbosity: number; logFormat?: 'text' | 'json' },
  work: (service: Service) => Promise<number>,
): Promise<number> {
  const releases: Array<() => unknown> = [];
  const signals = watchSignals(context);
  releases.push(() => signals.forget());
  const level = levels[Math.min(verbosity, levels.length - 1)] as Level;
  const log = openLog({ stream: context.stderr, format: logFormat, level });
  releases.push(() => log.close());
  try {
    return await work({
      signals,
      log,
      owns: (release) => void releases.push(release),
      async control(path, commands) {
        if (path === undefined) return undefined;
        const own = { stop: stopCommand(() => signals.stop()), 'log-level': logLevelCommand(log) };
        const server = await serveControl(resolve(context.cwd, path), controlTable({ ...commands, ...own }));
        let closed: Promise<void> | undefined;
        const close = (): Promise<void> => {
          closed ??= server.close();
          return closed;
        };
        releases.push(close);
        return { close };
      },
    });
  } finally {
    for (const release of releases.reverse()) await release();
  }
}
