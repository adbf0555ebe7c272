/** The other process of the lock tests: one descriptor of the file it is given, driven by messages. */
import { openSync } from 'node:fs';
import { type LockKind, openRangeLocks } from '../../lib/os/range-locks.ts';

const fd = openSync(process.argv[2] as string, 'r+');
const locks = openRangeLocks();
if (locks === undefined) throw new Error('koffi is not installed');

let hunting = false;
let tries = 0;
let taken = 0;

/** Tries for the byte at `at` until told to stop; a success is a moment in which it was free. */
function hunt(at: number): void {
  if (!hunting) {
    process.send?.({ tries, taken });
    return;
  }
  for (let i = 0; i < 50; i += 1) {
    tries += 1;
    if (locks?.tryLock(fd, 'shared', at, 1)) {
      taken += 1;
      locks.unlock(fd, at, 1);
    }
  }
  setImmediate(hunt, at);
}

const commands: Record<string, (...args: never[]) => unknown> = {
  tryLock: (kind: LockKind, start: number, length: number) => locks.tryLock(fd, kind, start, length),
  query: (kind: LockKind, start: number, length: number) => locks.query(fd, kind, start, length) ?? null,
  unlock: (start: number, length: number) => {
    locks.unlock(fd, start, length);
    return true;
  },
  hunt: (at: number) => {
    hunting = true;
    hunt(at);
  },
  stop: () => {
    hunting = false;
  },
};

process.on('message', ([name, ...args]: [string, ...never[]]) => {
  const answer = commands[name]?.(...args);
  if (answer !== undefined) process.send?.(answer);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
