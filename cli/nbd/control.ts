/** What a running server answers on its control socket. */
import { type ControlCommands, type Log, loadNbd, type NbdServer } from '../../lib/index.ts';
import { controlTable, logLevelCommand, type Served, stopCommand } from '../control-table.ts';

/** The commands by name. `stop` is asked to end the server orderly. `more`: those of who does more than serve. */
export function serverCommands(
  server: NbdServer,
  log: Log,
  stop: () => void,
  more: Readonly<Record<string, Served>> = {},
): ControlCommands {
  return controlTable({
    status: { help: 'exports, access list and clients', answer: () => server.status() },
    acl: {
      help: 'replace the access list by ADDRESS[/BITS]...; without any it is empty. Who is no longer allowed has to go',
      async answer(entries) {
        const { AccessList } = await loadNbd();
        server.access = new AccessList(entries, { defaultDeny: server.access.defaultDeny });
        return server.status().access;
      },
    },
    grow: {
      help: 'take over the size of images that have grown; who is connected keeps the old one',
      answer: () =>
        server.exports.map(({ name, image }) => {
          const grown = image.grow();
          return { name, sizeBytes: image.sizeBytes, grown };
        }),
    },
    ...more,
    stop: stopCommand(stop),
    'log-level': logLevelCommand(log),
  });
}
