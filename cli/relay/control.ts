/** What a running relay answers on its control socket. */
import {
  type ControlCommands,
  type ControlServer,
  type Log,
  type Relay,
  serveControl,
  tell,
  why,
} from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { controlTable, logLevelCommand, stopCommand } from '../control-table.ts';
import { defaultSocketPath } from './control-path.ts';
import { makeRunFolder, type RunFolder } from './run-folder.ts';

/** The commands by name, with `help` among them. `stop` is asked to end the relay orderly. */
export function controlCommands(relay: Relay, log: Log, stop: () => void): ControlCommands {
  return controlTable({
    status: { help: 'everything that is known of the relay', answer: () => relay.status() },
    sessions: {
      help: 'the sessions, without their streams',
      answer: () =>
        relay.status().sessions.map(({ streams, ...session }) => ({ ...session, streams: streams.length })),
    },
    stop: stopCommand(stop),
    'log-level': logLevelCommand(log),
  });
}

/**
 * Opens the control socket. At a path that was asked for it must succeed (`MR_ERR_CONTROL_SOCKET`); in the run
 * folder it is a convenience, whose failure is told. Resolves to undefined when there is none.
 */
export async function openControl(
  { pid }: Pick<Context, 'pid'>,
  folder: RunFolder,
  path: string | undefined,
  commands: ControlCommands,
): Promise<ControlServer | undefined> {
  if (path !== undefined) return await serveControl(path, commands);
  try {
    makeRunFolder(folder);
    return await serveControl(defaultSocketPath(folder.path, pid), commands);
  } catch (error) {
    tell('warn', 'cli:no-control-socket', `there is no control socket: ${why(error)}`);
    return undefined;
  }
}
