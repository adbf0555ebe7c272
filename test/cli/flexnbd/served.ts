/** Servers of `millrace flexnbd` that a test may ask. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { type Ended, launch, type RunningFlexnbd, ready, run } from '../../helpers/flexnbd-process.ts';
import { freePort } from '../../helpers/free-port.ts';

export const sizeBytes = 64 * 1024;
export const disk = pattern(sizeBytes, 1);

export interface Served {
  running: RunningFlexnbd;
  port: number;
  file: string;
  sock: string;
}

/** Starts `serve` or `listen` on a file of its own, and waits until it is ready. */
export async function start(
  t: ExecutionContext,
  mode: 'serve' | 'listen',
  content = disk,
  more: readonly string[] = [],
): Promise<Served> {
  const folder = temporaryDirectory(t);
  const [file, sock, port] = [join(folder, 'disk'), join(folder, 'sock'), await freePort()];
  writeFileSync(file, content);
  const args = [mode, '-l', '127.0.0.1', '-p', `${port}`, '--file', file, '--sock', sock, ...more];
  const running = launch(t, args);
  await ready(running, sock);
  return { running, port, file, sock };
}

/** Runs a mode that speaks to its control socket. */
export function ask(t: ExecutionContext, { sock }: Served, mode: string, ...more: string[]): Promise<Ended> {
  return run(t, [mode, '--sock', sock, ...more]);
}
