/** A destination of migrations in this process, with an empty image of its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Image } from '../../lib/disk/image.ts';
import { type ListenerOptions, MigrationListener } from '../../lib/nbd/migration/listener.ts';
import { temporaryDirectory } from './disk.ts';

export interface TestListener {
  listener: MigrationListener;
  image: Image;
  path: string;
  address: { host: string; port: number };
  /** What lies in the file. */
  bytes: () => Buffer;
  close: () => Promise<void>;
}

export async function testListener(
  t: Pick<ExecutionContext, 'teardown'>,
  sizeBytes: number,
  options: Partial<ListenerOptions> & { fill?: number } = {},
): Promise<TestListener> {
  const path = join(temporaryDirectory(t), 'copy');
  const { fill, ...rest } = options;
  if (fill !== undefined) writeFileSync(path, Buffer.alloc(sizeBytes, fill));
  const image = new Image(path, { createBytes: sizeBytes });
  const listener = new MigrationListener({ image, listen: { host: '127.0.0.1', port: 0 }, ...rest });
  await listener.start();
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= listener.close(1000).then(() => image.close());
    return closed;
  };
  t.teardown(close);
  const address = listener.address as { host: string; port: number };
  return { listener, image, path, address, bytes: () => readFileSync(path), close };
}
