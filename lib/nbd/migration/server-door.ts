/** The way into a server, as a migration of its disk uses it. */
import { rmSync } from 'node:fs';
import type { Image } from '../../disk/image.ts';
import type { Export } from '../export.ts';
import type { NbdServer } from '../server/server.ts';
import { Mirror } from './mirror.ts';
import type { Door } from './source.ts';

/** What else comes and goes with the listening sockets: the control socket of flexnbd's face. */
export interface Company {
  /** Goes before they are closed. */
  leave(): Promise<void>;
  /** Is back once they are open again. */
  comeBack(): Promise<void>;
}

/** The door of `server`. */
export function serverDoor(server: NbdServer, company?: Company): Door {
  let isStopped = false;
  return {
    shut: () => server.shutOut(),
    async stop() {
      isStopped = true;
      await company?.leave();
      await server.stopListening();
    },
    async open() {
      server.admit();
      if (!isStopped) return;
      isStopped = false;
      await server.listenAgain();
      await company?.comeBack();
    },
  };
}

/** The door to one of several exports of `server`; the others stay open. */
export function exportDoor(server: NbdServer, served: Export): Door {
  return {
    shut: () => server.shutOut(undefined, served),
    // nobody gets in to what is withheld
    stop: () => Promise.resolve(),
    open: async () => server.admit(served),
  };
}

/** The migrations of one of several disks that `server` serves. */
export function mirrorOfExport(server: NbdServer, served: Export): Mirror {
  const { image, name } = served;
  return new Mirror({ image, name, door: exportDoor(server, served), unlink: () => rmSync(image.path) });
}

/** The migrations of the one disk that `server` serves. */
export function mirrorOf(server: NbdServer, image: Image, company?: Company): Mirror {
  return new Mirror({ image, door: serverDoor(server, company), unlink: () => rmSync(image.path) });
}
