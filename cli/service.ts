/** What a long-running command has around its work: signals, a log, a control socket, a progress line, and what is to be released at the end. */
import { resolve } from 'node:path';
import {
  type ControlServer,
  type Level,
  type Log,
  type LogFormat,
  levels,
  openLog,
  serveControl,
} from '../lib/index.ts';
import type { Context } from './context.ts';
import { controlTable, logLevelCommand, type Served, stopCommand } from './control-table.ts';
import { type Progress, showProgress } from './progress.ts';
import { type StopSignals, watchSignals } from './stop-signals.ts';

/** See the file's head. */
export interface Service {
  /** Watched from when they are first asked for: until then a signal ends the program, as in an opening that may take long. */
  readonly signals: StopSignals;
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
  /** Shows how far it is, on a terminal, until the end or until `end` is called before. */
  readonly progress: (now: () => Progress) => { end(): void };
}

/** The level of a log that begins at `base` and says more for each time that --verbose was given. */
export function logLevel(base: Level, verbosity: number): Level {
  return levels[Math.max(0, levels.indexOf(base) - verbosity)] ?? base;
}

/** Runs `work` and resolves to what it does; whatever ends it, what it owns is released. */
export async function runService<Result>(
  context: Context,
  { level = 'warn', logFormat = 'text' }: { level?: Level; logFormat?: LogFormat },
  work: (service: Service) => Promise<Result>,
): Promise<Result> {
  const releases: Array<() => unknown> = [];
  const owns = (release: () => unknown): void => void releases.push(release);
  let watched: StopSignals | undefined;
  const signals = (): StopSignals => {
    if (watched !== undefined) return watched;
    const made = watchSignals(context);
    owns(() => made.forget());
    watched = made;
    return made;
  };
  const log = openLog({ stream: context.stderr, format: logFormat, level });
  owns(() => log.close());
  try {
    return await work({
      get signals() {
        return signals();
      },
      owns,
      async control(path, commands) {
        if (path === undefined) return undefined;
        const server = await serveControl(resolve(context.cwd, path), ownCommands(commands, signals(), log));
        let closed: Promise<void> | undefined;
        const close = (): Promise<void> => {
          closed ??= server.close();
          return closed;
        };
        owns(close);
        return { close };
      },
      progress(now) {
        const line = showProgress(context, now);
        owns(() => line.end());
        return line;
      },
    });
  } finally {
    for (const release of releases.reverse()) await release();
  }
}

function ownCommands(commands: Readonly<Record<string, Served>>, signals: StopSignals, log: Log) {
  return controlTable({
    ...commands,
    stop: stopCommand(() => signals.stop()),
    'log-level': logLevelCommand(log),
  });
}
