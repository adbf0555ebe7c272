/** A server with one image in a fresh directory, and clients of it. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Image, type ImageOptions } from '../../lib/disk/image.ts';
import { NbdClient } from '../../lib/nbd/client/client.ts';
import type { NbdClientOptions } from '../../lib/nbd/client/dial-server.ts';
import type { Export } from '../../lib/nbd/export.ts';
import { NbdServer, type NbdServerOptions } from '../../lib/nbd/server/server.ts';
import { temporaryDirectory } from './disk.ts';

export const mib = 1024 * 1024;

/** A new image of `sizeBytes` with `data` at the offsets given; its map is built. */
export async function newImage(
  t: ExecutionContext,
  sizeBytes: number,
  data: readonly (readonly [offset: number, bytes: Buffer])[] = [],
  options: ImageOptions = {},
): Promise<Image> {
  const path = join(temporaryDirectory(t), 'image');
  const fd = openSync(path, 'w');
  for (const [offset, bytes] of data) writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
  const image = new Image(path, { createBytes: sizeBytes, ...options });
  t.teardown(() => image.close());
  if (options.extentSource === undefined) await image.mapped;
  return image;
}

export interface Served {
  server: NbdServer;
  image: Image;
  port: number;
  /** What lies in the file. */
  stored: () => Buffer;
}

/** Serves an image, or new exports of it, on a free port of the loopback address. */
export async function serve(
  t: ExecutionContext,
  image: Image,
  options: Partial<NbdServerOptions> & { served?: Partial<Export> } = {},
): Promise<Served> {
  const { served, ...rest } = options;
  const server = new NbdServer({
    listen: [{ host: '127.0.0.1', port: 0 }],
    exports: [{ name: '', image, ...served }],
    ...rest,
  });
  await server.start();
  t.teardown(() => server.close(100));
  const [address] = server.addresses;
  const port = address?.path === undefined ? (address?.port ?? 0) : 0;
  return { server, image, port, stored: () => readFileSync(image.path) };
}

/** A millrace client. */
export async function client(
  t: ExecutionContext,
  port: number,
  options: Partial<NbdClientOptions> = {},
): Promise<NbdClient> {
  const address = { host: '127.0.0.1', port };
  const connected = await NbdClient.connect({ address, exportName: '', ...options });
  t.teardown(() => connected.destroy());
  return connected;
}

/** A client that is nothing but bytes: it says what it is told, and takes what comes. */
export class RawClient {
  readonly socket: Socket;
  readonly #received: Buffer[] = [];
  #bytes = 0;
  isClosed = false;
  /** Everything that came, once the connection is closed. */
  readonly closed: Promise<Buffer>;
  #wake: () => void = () => undefined;

  constructor(t: ExecutionContext, port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true });
    t.teardown(() => this.socket.destroy());
    this.socket.on('data', (bytes) => {
      this.#received.push(bytes);
      this.#bytes += bytes.length;
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.isClosed = true;
        this.#wake();
        resolve(Buffer.concat(this.#received));
      });
    });
  }

  say(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next bytes; fewer when the connection is closed before. */
  async take(sizeBytes: number): Promise<Buffer> {
    while (this.#bytes < sizeBytes && !this.isClosed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const all = Buffer.concat(this.#received.splice(0));
    const taken = all.subarray(0, sizeBytes);
    const rest = all.subarray(sizeBytes);
    if (rest.length > 0) this.#received.push(rest);
    this.#bytes = rest.length;
    return taken;
  }
}
