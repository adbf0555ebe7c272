/** Where a relay's control socket is when nobody says. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** `folder`: the run folder. */
export function defaultSocketPath(folder: string, pid: number): string {
  return join(folder, `millrace-${pid}.sock`);
}

/** Sockets of relays in the run folder, dead ones among them; none when there is no such folder. */
export function findSocketPaths(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^millrace-\d+\.sock$/.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
