/** What files of one output directory share, and a directory for them. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiskEnvironment } from '../../lib/disk/append-file.ts';
import { DescriptorPool } from '../../lib/disk/descriptor-pool.ts';
import { Pace } from '../../lib/disk/pace.ts';
import { openRangeLocks, type RangeLocks } from '../../lib/os/range-locks.ts';
import { slowPace } from './store.ts';

/** `pooled`: every write goes through the thread pool, as on a disk that stalls. */
export function diskEnvironment(options: { pooled?: boolean; locks?: RangeLocks } = {}): DiskEnvironment {
  return {
    locks: options.locks ?? openRangeLocks(),
    pool: new DescriptorPool(),
    lockConflicts: 0,
    pace: options.pooled === true ? slowPace() : new Pace(),
    bytesInFlight: 0,
    open: new Set(),
    onAllClosed: () => undefined,
  };
}

export function temporaryDirectory(t: { teardown(run: () => void): void }): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-disk-')));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
