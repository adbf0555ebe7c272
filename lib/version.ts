/** The version of this package, as package.json states it. */
import { readFileSync } from 'node:fs';

const packageJson = new URL('../../package.json', import.meta.url);

/** For instance `0.1.0`. */
export const version: string = (JSON.parse(readFileSync(packageJson, 'utf8')) as { version: string }).version;
