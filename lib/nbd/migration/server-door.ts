/** The way into a server, as a migration of its disk uses it. */
import { rmSync } from 'node:fs';
import type { Image } from '../../disk/image.ts';
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

/** The migrations of the one disk that `server` serves. */
export function mirrorOf(server: NbdServer, image: Image, company?: Company): Mirror {
  return new Mirror({ image, door: serverDoor(server, company), unlink: () => rmSync(image.path) });
}
