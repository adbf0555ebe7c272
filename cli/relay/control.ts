/** What a running relay answers on its control socket. */
import { type Relay, tell, why } from '../../lib/index.ts';
import type { Context } from '../context.ts';
import type { Served } from '../control-table.ts';
import type { Service } from '../service.ts';
import { defaultSocketPath } from './control-path.ts';
import { makeRunFolder, type RunFolder } from './run-folder.ts';

function controlCommands(relay: Relay): Readonly<Record<string, Served>> {
  return {
    status: { help: 'everything that is known of the relay', answer: () => relay.status() },
    sessions: {
      help: 'the sessions, without their streams',
      answer: () =>
        relay.status().sessions.map(({ streams, ...session }) => ({ ...session, streams: streams.length })),
    },
  };
}

/**
 * Opens the control socket. At a path that was asked for it must succeed (`MR_ERR_CONTROL_SOCKET`); in the run
 * folder it is a convenience, whose failure is told.
 */
export async function openControl(
  { pid }: Pick<Context, 'pid'>,
  folder: RunFolder,
  path: string | undefined,
  relay: Relay,
  { control }: Service,
): Promise<void> {
  const commands = controlCommands(relay);
  if (path !== undefined) {
    await control(path, commands);
    return;
  }
  try {
    makeRunFolder(folder);
    await control(defaultSocketPath(folder.path, pid), commands);
  } catch (error) {
    tell('warn', 'cli:no-control-socket', `there is no control socket: ${why(error)}`);
  }
}
