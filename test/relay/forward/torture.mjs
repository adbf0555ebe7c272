/** Many runs of `resume.test.ts`: npm run torture:forward [RUNS] [SEED]. */
import { spawnSync } from 'node:child_process';

const [runs = '200', seed = '1000'] = process.argv.slice(2);
const env = { ...process.env, MILLRACE_RUNS: runs, MILLRACE_SEED: seed };
const { status } = spawnSync('npx', ['ava', '--timeout=1h', 'dist/test/relay/forward/resume.test.js'], {
  env,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
