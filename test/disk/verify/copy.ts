import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import fse from 'fs-extra';
import { fixture, tracesBelow } from '../../helpers/traces.ts';

/** A copy of a trace that may be damaged; goes when the test ends. */
export interface Copy {
  directory: string;
  read(path: string): Buffer;
  write(path: string, bytes: Buffer): void;
  /** Changes a file in place. */
  edit(path: string, change: (bytes: Buffer) => Buffer): void;
  remove(path: string): void;
}

/** Copies a directory. */
export function copyOf(t: ExecutionContext, from: string): Copy {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-verify-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  fse.copySync(from, directory);
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  chmodSync(directory, 0o755);
  const read = (path: string): Buffer => readFileSync(join(directory, path));
  const write = (path: string, bytes: Buffer): void => writeFileSync(join(directory, path), bytes);
  return {
    directory,
    read,
    write,
    edit: (path, change) => write(path, change(read(path))),
    remove: (path) => rmSync(join(directory, path), { recursive: true }),
  };
}

/**
 * A copy of a trace that lttng-relayd stored: `small_0` holds three packets of 4096 bytes, `index/small_0.idx` their
 * records of 72 bytes behind a header of 16.
 */
export function relayTrace(t: ExecutionContext): Copy {
  const [trace] = tracesBelow(fixture('captures/two-channels')) as [string];
  return copyOf(t, trace);
}
