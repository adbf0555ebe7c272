/** A source of migrations: an image with bytes that can be told apart, and a door that takes down what it is told. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Image, type ImageOptions } from '../../lib/disk/image.ts';
import { Mirror } from '../../lib/nbd/migration/mirror.ts';
import type { MirrorOptions } from '../../lib/nbd/migration/options.ts';
import type { Door } from '../../lib/nbd/migration/source.ts';
import { noise } from './bytes.ts';
import { temporaryDirectory } from './disk.ts';

export interface TestSource {
  path: string;
  /** What clients have written, and what was there: what the destination must hold. */
  bytes: Buffer;
  image: Image;
  mirror: Mirror;
  door: TestDoor;
  /** A client's write: in the file, heard of, acknowledged. */
  write(offset: number, bytes: Buffer): Promise<void>;
}

export class TestDoor implements Door {
  readonly did: string[] = [];
  isOpen = true;
  /** Replaced by tests that let clients linger. */
  gone: () => Promise<void> = () => Promise.resolve();

  async shut(): Promise<void> {
    this.did.push('shut');
    this.isOpen = false;
    await this.gone();
    this.did.push('gone');
  }

  async open(): Promise<void> {
    this.did.push('open');
    this.isOpen = true;
  }

  async stop(): Promise<void> {
    this.did.push('stop');
  }
}

/** Makes one of `sizeBytes`. `holes`: leave its second half empty. */
export async function testSource(
  t: ExecutionContext,
  sizeBytes: number,
  options: ImageOptions & { holes?: boolean } = {},
): Promise<TestSource> {
  const path = join(temporaryDirectory(t), 'disk');
  const bytes = Buffer.alloc(sizeBytes);
  // every sector is another one
  const sector = noise(512, 7);
  for (let at = 0; at < (options.holes === true ? sizeBytes / 2 : sizeBytes); at += 512) {
    sector.writeUInt32BE(at, at % 508);
    sector.copy(bytes, at);
  }
  writeFileSync(path, options.holes === true ? bytes.subarray(0, sizeBytes / 2) : bytes);
  const image = new Image(path, options.holes === true ? { ...options, createBytes: sizeBytes } : options);
  const door = new TestDoor();
  const unlink = (): void => rmSync(path);
  const mirror = new Mirror({ image, door, unlink });
  t.teardown(async () => {
    await mirror.stop();
    await image.close();
  });
  const write = async (offset: number, written: Buffer): Promise<void> => {
    if (!door.isOpen) throw new Error('a client wrote with the door shut');
    await image.write(written, 0, written.length, offset);
    written.copy(bytes, offset);
  };
  return { path, bytes, image, mirror, door, write };
}

/** To this destination; quick about retries. */
export function mirrorTo(
  to: { address: { host: string; port: number } },
  changes: Partial<MirrorOptions> = {},
): MirrorOptions {
  return { address: to.address, action: 'exit', retryMs: 20, lingerMs: 1000, ...changes };
}

export const isThere = (path: string): boolean => existsSync(path);
