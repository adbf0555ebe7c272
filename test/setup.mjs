// Prepares a fresh clone: installs what the lock file names, then compiles. Plain JavaScript, because it runs
// before there is a compiler.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const installed = `${root}node_modules/.package-lock.json`;

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

const stale =
  !existsSync(installed) || statSync(installed).mtimeMs < statSync(`${root}package-lock.json`).mtimeMs;
if (stale) run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.json`]);

// What was compiled from a file that is no longer there would go on being tested and published.
for (const name of readdirSync(`${root}dist`, { recursive: true })) {
  const source = name.replace(/(\.d\.ts|\.js|\.js\.map)$/, '.ts');
  if (source !== name && !existsSync(`${root}${source}`)) rmSync(`${root}dist/${name}`);
}
