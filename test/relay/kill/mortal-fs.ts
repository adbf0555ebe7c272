/**
 * Makes this process die by its own SIGKILL in front of one of its calls that change the file system: in front of
 * each in turn, a test sees everything that a kill can leave. A write that is due every other time writes half.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let calls = 0;

/** How many such calls there were. */
export function changes(): number {
  return calls;
}

/** From now on calls are counted; the one that is number `killAt`, from 1, is the last. */
export function dieAt(killAt: number): void {
  const due = (): boolean => {
    calls += 1;
    return calls === killAt;
  };
  const die = (): void => {
    process.kill(process.pid, 'SIGKILL');
  };
  const original = { ...fs };
  const dieWriting = (fd: number, bytes: Buffer): void => {
    if (killAt % 2 === 0) original.writeSync(fd, bytes.subarray(0, bytes.length >> 1));
    die();
  };
  const before =
    <A extends unknown[], R>(call: (...args: A) => R, counts: (...args: A) => boolean = () => true) =>
    (...args: A): R => {
      if (counts(...args) && due()) die();
      return call(...args);
    };
  const creates = (_path: unknown, flags?: unknown): boolean =>
    typeof flags === 'string' ? flags !== 'r' : (Number(flags) & fs.constants.O_CREAT) !== 0;
  Object.assign(fs, {
    openSync: before(original.openSync, creates),
    renameSync: before(original.renameSync),
    unlinkSync: before(original.unlinkSync),
    mkdirSync: before(original.mkdirSync),
    rmdirSync: before(original.rmdirSync),
    ftruncateSync: before(original.ftruncateSync),
    writeSync(fd: number, bytes: Buffer, ...rest: [number?]): number {
      // what is said on stdout is no change
      if (fd > 2 && due()) dieWriting(fd, Buffer.from(bytes));
      return original.writeSync(fd, bytes, ...rest);
    },
    writevSync(fd: number, ranges: Buffer[], position?: number): number {
      if (due()) dieWriting(fd, Buffer.concat(ranges));
      return original.writevSync(fd, ranges, position);
    },
    writev: before(original.writev),
  });
  syncBuiltinESMExports();
}
