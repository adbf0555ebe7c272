/** A source of migrations with a real server in front of it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Image, type ImageOptions } from '../../lib/disk/image.ts';
import type { Mirror } from '../../lib/nbd/migration/mirror.ts';
import { mirrorOf } from '../../lib/nbd/migration/server-door.ts';
import { NbdServer, type NbdServerOptions } from '../../lib/nbd/server/server.ts';
import { pattern } from './bytes.ts';
import { temporaryDirectory } from './disk.ts';

export interface ServedSource {
  path: string;
  image: Image;
  server: NbdServer;
  mirror: Mirror;
  address: { host: string; port: number };
}

export async function servedSource(
  t: Pick<ExecutionContext, 'teardown'>,
  sizeBytes: number,
  options: { image?: ImageOptions; server?: Partial<NbdServerOptions>; folder?: string } = {},
): Promise<ServedSource> {
  const path = join(options.folder ?? temporaryDirectory(t), 'disk');
  writeFileSync(path, pattern(sizeBytes, 5));
  const image = new Image(path, options.image);
  const server = new NbdServer({
    listen: [{ host: '127.0.0.1', port: 0 }],
    exports: [{ name: '', image }],
    style: 'oldstyle',
    durable: false,
    ...options.server,
  });
  await server.start();
  const mirror = mirrorOf(server, image);
  t.teardown(async () => {
    await mirror.stop();
    await server.close(100);
    await image.close();
  });
  return { path, image, server, mirror, address: server.addresses[0] as { host: string; port: number } };
}
