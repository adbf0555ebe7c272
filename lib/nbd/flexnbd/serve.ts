/** flexnbd's `serve`: one file, oldstyle, every write durable, a control socket once it listens. Source: C.1, C.3. */
import { Image } from '../../disk/image.ts';
import { MillraceError } from '../../errors.ts';
import type { Address } from '../../network/address.ts';
import type { ControlServer } from '../../network/control-socket.ts';
import type { FlexnbdStatus } from '../../wire/flexnbd/index.ts';
import { AccessList } from '../acl.ts';
import type { Mirror } from '../migration/mirror.ts';
import type { HandedOver } from '../migration/options.ts';
import { type Company, mirrorOf } from '../migration/server-door.ts';
import { NbdServer } from '../server/server.ts';
import { type Controlled, type MirrorRequest, runCommand } from './commands.ts';
import { serveFlexnbdControl } from './control-server.ts';
import { inFlexnbdWords } from './words.ts';

/** Clients at a time. Source: F.17. */
const clients = 16;
const killswitchMs = 120_000;

export interface FlexnbdServeOptions {
  host: string;
  port: number;
  path: string;
  /** Of the access list. */
  entries: readonly string[];
  defaultDeny: boolean;
  killswitch: boolean;
  /** Path of the control socket. */
  sock?: string;
  /** Without progress of a mirror's request; flexnbd's environment sets it. */
  mirrorRequestMs?: number;
}

/** See the file's head. */
export class FlexnbdServer {
  readonly #image: Image;
  readonly #server: NbdServer;
  readonly #options: FlexnbdServeOptions;
  readonly mirror: Mirror;
  #control: ControlServer | undefined;

  private constructor(options: FlexnbdServeOptions, image: Image, server: NbdServer) {
    this.#options = options;
    this.#image = image;
    this.#server = server;
    const company: Company = { leave: () => this.#closeControl(), comeBack: () => this.#openControl() };
    this.mirror = mirrorOf(server, image, company);
  }

  /**
   * Starts one. Rejects with the errors of `Image`, `AccessList`, `NbdServer.start` and MR_ERR_CONTROL_SOCKET, and has let
   * go of everything then.
   */
  static async start(options: FlexnbdServeOptions, signal?: AbortSignal): Promise<FlexnbdServer> {
    const { host, port, path, entries, defaultDeny, killswitch } = options;
    const access = new AccessList(entries, { defaultDeny });
    const image = new Image(path);
    const server = new NbdServer({
      listen: [{ host, port }],
      exports: [{ name: '', image }],
      style: 'oldstyle',
      access,
      maxClients: clients,
      ...(killswitch ? { killswitchMs } : {}),
    });
    const flexnbd = new FlexnbdServer(options, image, server);
    try {
      await server.start(signal === undefined ? {} : { signal });
      await flexnbd.#openControl();
    } catch (error) {
      await server.close(0);
      await image.close();
      throw error;
    }
    return flexnbd;
  }

  get address(): Address | undefined {
    return this.#server.addresses[0];
  }

  /** Resolves when the disk has gone. */
  get gone(): Promise<HandedOver> {
    return this.mirror.gone;
  }

  /** Ends; true: a migration was cut short by it. The control socket goes first, and nothing of it is waited for. */
  async stop(patienceMs?: number): Promise<boolean> {
    const closing = this.#closeControl();
    const cutShort = await this.mirror.stop();
    await this.#server.close(patienceMs);
    await this.#image.close();
    await closing;
    return cutShort;
  }

  async #openControl(): Promise<void> {
    const { sock } = this.#options;
    if (sock === undefined) return;
    this.#control = await serveFlexnbdControl(sock, (command) => runCommand(this.#controlled, command));
  }

  async #closeControl(): Promise<void> {
    await this.#control?.close();
    this.#control = undefined;
  }

  readonly #controlled: Controlled = {
    status: () => this.#status(),
    setAcl: (entries) => setAcl(this.#server, entries),
    mirror: (request) => this.#start(request),
    breakMirror: () => this.mirror.break(),
    limitMirror: (bytesPerSecond) => this.mirror.limit(bytesPerSecond === 0 ? undefined : bytesPerSecond),
  };

  async #start({ host, port, ...request }: MirrorRequest): Promise<void> {
    const { mirrorRequestMs: requestMs } = this.#options;
    await this.mirror
      .start({
        address: { host, port },
        ...request,
        ...(requestMs === undefined ? {} : { requestMs }),
        // flexnbd shuts clients out from 5 s on; there is no need to be as hasty with a limit on that
        pause: { pauseMs: 500, mostPauseMs: 5000 },
      })
      .catch((error: unknown) => {
        throw inFlexnbdWords(error);
      });
  }

  #status(): FlexnbdStatus {
    const figures = this.mirror.figures();
    const base = {
      pid: process.pid,
      size: this.#image.sizeBytes,
      is_mirroring: this.mirror.isMirroring,
      clients_allowed: this.#server.admits,
      num_clients: this.#server.clients,
      has_control: true,
    };
    if (figures === undefined) return base;
    const { bytesPerSecond, durationMs, leftBytes, secondsLeft, limitBytesPerSecond } = figures;
    return {
      ...base,
      migration_speed: Math.round(bytesPerSecond),
      migration_duration: Math.floor(durationMs / 1000),
      migration_seconds_left: Math.round(Math.min(secondsLeft, leftBytes / (bytesPerSecond + 1))),
      migration_bytes_left: leftBytes,
      ...(limitBytesPerSecond === undefined ? {} : { migration_speed_limit: limitBytesPerSecond }),
    };
  }
}

/** Replaces the access list, and says which entry is none in flexnbd's words. */
export function setAcl(server: NbdServer, entries: readonly string[]): void {
  try {
    server.access = new AccessList(entries, { defaultDeny: server.access.defaultDeny });
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new Error(`bad spec: ${error.facts.entry}`, { cause: error });
  }
}
