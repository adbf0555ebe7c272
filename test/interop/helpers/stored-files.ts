/** What a relay has stored, byte by byte. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every file below a directory, in hexadecimal; the relay's own files left out. */
export function storedFiles(directory: string): Map<string, string> {
  return new Map(
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('.millrace'))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path): [string, string] => [path.slice(directory.length), readFileSync(path, 'hex')])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
