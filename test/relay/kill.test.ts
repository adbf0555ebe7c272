/** A relay that is killed anywhere, and what the next start makes of it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import fse from 'fs-extra';
import { packetReaderOf } from '../../lib/disk/packet-reader-of.ts';
import { recover } from '../../lib/disk/recover.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { judge } from './kill/judge.ts';
import { Account } from './kill/ledger.ts';
import { indexOf, readIndex, readTree } from './kill/stored.ts';

const locks = openRangeLocks();
const child = (name: string): string => fileURLToPath(new URL(`kill/${name}.js`, import.meta.url));
const storeChild = child('store-child');
const recordings = fileURLToPath(new URL('../../../fixtures/captures/', import.meta.url));
/** Children at a time, over all tests of this file. */
let free = Math.max(2, availableParallelism());
const waiting: Array<() => void> = [];

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs a child to its end, or to its death, when there is room for it; what it said. */
async function run(program: string, ...args: string[]): Promise<{ signal: string | null; stdout: string }> {
  if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
  else free -= 1;
  try {
    return await runNow(program, args);
  } finally {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }
}

async function runNow(program: string, args: string[]): Promise<{ signal: string | null; stdout: string }> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TZ: 'UTC' },
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`${program} ${args.join(' ')}: ${said.stderr}`);
  return { signal, stdout: said.stdout };
}

/** `count` of the numbers 1 to `last`, spread evenly; `seed` shifts them. */
function spread(last: number, count: number, seed = 0): number[] {
  return Array.from({ length: count }, (_, n) => 1 + Math.floor(((n + (seed % 7) / 7) * last) / count));
}

/** How many changes of the file system a script makes, and that it leaves what it should when nobody kills it. */
async function changesOf(t: ExecutionContext, seed: number): Promise<number> {
  const outputPath = temporary(t);
  const { stdout } = await run(storeChild, outputPath, `${seed}`, '0');
  const account = new Account(stdout);
  t.deepEqual(judge(account, outputPath), [], `seed ${seed}`);
  t.is(account.stored.size, account.begun.size, `seed ${seed}: every packet is committed in the end`);
  return account.changes;
}

const perSeed = 32;

for (const seed of [1, 2, 3, 5, 109])
  test(`a relay killed in front of any change of the file system: every committed packet is there once, in its chunk (seed ${seed})`, async (t) => {
    const killed = async (killAt: number): Promise<void> => {
      const outputPath = temporary(t);
      const { signal, stdout } = await run(storeChild, outputPath, `${seed}`, `${killAt}`);
      t.is(signal, 'SIGKILL');
      recover(outputPath, locks, packetReaderOf);
      t.deepEqual(judge(new Account(stdout), outputPath), [], `seed ${seed}, killed at ${killAt}`);
      t.false(recover(outputPath, locks, packetReaderOf).found, 'the second start finds nothing to do');
    };
    await Promise.all(spread(await changesOf(t, seed), perSeed, seed).map(killed));
  });

test('a recovery that is killed as well is finished by the next one', async (t) => {
  const seed = 3;
  const changes = await changesOf(t, seed);
  const killed = async (killAt: number): Promise<void> => {
    const died = temporary(t);
    const { stdout } = await run(storeChild, died, `${seed}`, `${killAt}`);
    for (const recoveryKillAt of [2, 5, 8, 13]) {
      const outputPath = temporary(t);
      fse.copySync(died, outputPath);
      await run(child('recover-child'), outputPath, `${recoveryKillAt}`);
      recover(outputPath, locks, packetReaderOf);
      const points = `killed at ${killAt}, then at ${recoveryKillAt}`;
      t.deepEqual(judge(new Account(stdout), outputPath), [], points);
    }
  };
  await Promise.all(spread(changes, 5, seed).map(killed));
});

/** Held against what lttng-relayd stored of the whole conversation: each file is a beginning of one of those. */
function beginnings(outputPath: string, recording: string): string[] {
  const faults: string[] = [];
  const whole = [...readTree(join(recordings, recording, 'oracle'), [])];
  const files = readTree(outputPath, faults);
  for (const [path, bytes] of files) {
    const isIndex = basename(dirname(path)) === 'index';
    const begins = ([other, longer]: [string, Buffer]) =>
      basename(other) === basename(path) && longer.subarray(0, bytes.length).equals(bytes);
    if (!isIndex && recording !== 'clear' && !whole.some(begins)) faults.push(`${path} begins no file`);
    const index = files.get(indexOf(path));
    if (isIndex || index === undefined) continue;
    let end = 0;
    for (const [offset, size] of readIndex(path, index, faults)) {
      if (offset !== end)
        faults.push(`${path}: a record points at ${offset}, the packet before ends at ${end}`);
      end = offset + size;
    }
    if (end !== bytes.length) faults.push(`${path}: ${bytes.length} bytes, ${end} of them in the index`);
  }
  return faults;
}

const hasBabeltrace = spawnSync('babeltrace2', ['--version']).status === 0;

for (const recording of ['rotation', 'clear', 'two-consumers-rotation', 'live', 'per-process', 'snapshot'])
  test(`a relay killed while real programs talk to it: ${recording}`, async (t) => {
    const path = join(recordings, recording, 'conversation.mrlog');
    const { stdout } = await run(child('relay-child'), temporary(t), path, '0');
    const killed = async (killAt: number): Promise<void> => {
      const outputPath = temporary(t);
      const { signal } = await run(child('relay-child'), outputPath, path, `${killAt}`);
      t.is(signal, 'SIGKILL');
      recover(outputPath, locks, packetReaderOf);
      t.deepEqual(beginnings(outputPath, recording), [], `killed at ${killAt}`);
      // only a live session sends its metadata before its packets
      const isReadable = [...readTree(outputPath, [])].some(
        ([name, text]) => basename(name) === 'metadata' && text.length > 0,
      );
      if (recording !== 'live' || !hasBabeltrace || !isReadable) return;
      const read = spawnSync('babeltrace2', [outputPath], { encoding: 'utf8' });
      t.is(read.status, 0, `killed at ${killAt}: ${read.stderr}`);
    };
    await Promise.all(spread(new Account(stdout).changes, 4, recording.length).map(killed));
  });
