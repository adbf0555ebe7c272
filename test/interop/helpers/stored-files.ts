/** What a relay has stored, byte by byte. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Every file below a directory, in hexadecimal; the relay's own files left out. A relay may be at work there: when it
 * renames what was just seen (a file gets its name when it is locked), everything is looked at again.
 */
export function storedFiles(directory: string): Map<string, string> {
  for (;;)
    try {
      return filesNow(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || !existsSync(directory)) throw error;
    }
}

function filesNow(directory: string): Map<string, string> {
  return new Map(
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('.millrace'))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path): [string, string] => [path.slice(directory.length), readFileSync(path, 'hex')])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
