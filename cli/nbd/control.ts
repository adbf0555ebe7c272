/** What a running server answers on its control socket. */
import { loadNbd, type NbdServer } from '../../lib/index.ts';
import type { Served } from '../control-table.ts';

/** `acl`, as every server has it. */
export function aclCommand(server: NbdServer): Served {
  return {
    help: 'replace the access list by ADDRESS[/BITS]...; without any it is empty. Who is no longer allowed has to go',
    async answer(entries) {
      const { AccessList } = await loadNbd();
      server.access = new AccessList(entries, { defaultDeny: server.access.defaultDeny });
      return server.status().access;
    },
  };
}

/** The commands of `serve` by name. */
export function serverCommands(server: NbdServer): Readonly<Record<string, Served>> {
  return {
    status: { help: 'exports, access list and clients', answer: () => server.status() },
    acl: aclCommand(server),
    grow: {
      help: 'take over the size of images that have grown; who is connected keeps the old one',
      answer: () =>
        server.exports.map(({ name, image }) => {
          const grown = image.grow();
          return { name, sizeBytes: image.sizeBytes, grown };
        }),
    },
  };
}
