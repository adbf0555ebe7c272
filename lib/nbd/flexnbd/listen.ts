/** flexnbd's `listen`: takes one migration into a file. Source: nbd-migration, C.1, D.5. */
import { Image } from '../../disk/image.ts';
import type { Address } from '../../network/address.ts';
import type { ControlServer } from '../../network/control-socket.ts';
import { AccessList } from '../acl.ts';
import { MigrationListener, type Received } from '../migration/listener.ts';
import { type Controlled, runCommand } from './commands.ts';
import { serveFlexnbdControl } from './control-server.ts';
import { setAcl } from './serve.ts';

export interface FlexnbdListenOptions {
  host: string;
  port: number;
  path: string;
  entries: readonly string[];
  defaultDeny: boolean;
  sock?: string;
  /** flexnbd's own rule: any DISC completes it. */
  anyDisconnect?: boolean;
}

/** See the file's head. */
export class FlexnbdListener {
  readonly #image: Image;
  readonly listener: MigrationListener;
  #control: ControlServer | undefined;

  private constructor(image: Image, listener: MigrationListener) {
    this.#image = image;
    this.listener = listener;
  }

  /** Starts one; errors as `FlexnbdServer.start`, and MR_ERR_DISK_CREATE where the image cannot be marked. */
  static async start(options: FlexnbdListenOptions, signal?: AbortSignal): Promise<FlexnbdListener> {
    const { host, port, path, entries, defaultDeny, anyDisconnect = false, sock } = options;
    const access = new AccessList(entries, { defaultDeny });
    const image = new Image(path);
    const listener = new MigrationListener({ image, listen: { host, port }, access, anyDisconnect });
    const flexnbd = new FlexnbdListener(image, listener);
    try {
      await listener.start(signal === undefined ? {} : { signal });
      if (sock !== undefined)
        flexnbd.#control = await serveFlexnbdControl(sock, (command) =>
          runCommand(flexnbd.#controlled, command),
        );
    } catch (error) {
      await listener.close(0);
      await image.close();
      throw error;
    }
    return flexnbd;
  }

  get address(): Address | undefined {
    return this.listener.address;
  }

  /** Resolves when the disk has come whole. */
  get completed(): Promise<Received> {
    return this.listener.completed;
  }

  async stop(patienceMs?: number): Promise<void> {
    const closing = this.#control?.close();
    await this.listener.close(patienceMs);
    await this.#image.close();
    await closing;
  }

  readonly #controlled: Controlled = {
    status: () => ({
      pid: process.pid,
      size: this.#image.sizeBytes,
      is_mirroring: false,
      clients_allowed: this.listener.server.admits,
      num_clients: this.listener.server.clients,
      has_control: this.listener.hasControl,
    }),
    setAcl: (entries) => setAcl(this.listener.server, entries),
    mirror: () => Promise.reject(new Error('this server waits for a disk and has none to send')),
    breakMirror: () => Promise.resolve('not mirroring'),
    limitMirror: () => false,
  };
}
