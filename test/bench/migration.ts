/**
 * The migration bench: an image moves from `millrace nbd serve` to `millrace nbd listen` with and without clients that write to
 * it, and, for the speed, nbdcopy copies the same image between two nbdkits in the same round. What arrived is compared.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { now, peakMemoryBytes } from './measure.ts';
import { stamp, WriteLoad, writeBytes } from './migration-load.ts';
import { type Columns, type Figures, type Samples, table } from './report.ts';
import { count, named } from './rounds.ts';
import { compiled } from './targets.ts';

const MiB = 2 ** 20;
const bin = compiled('cli/bin.js');

export const usage =
  'bench migration [--quick] [--mib N] [--load MIB/S] [--runs N] [--ways idle,load,plain,nbdcopy] [--disk DIR]';

const columns: Columns = {
  rate: { heading: 'MiB/s', decimals: 0 },
  pause: { heading: 'pause ms', decimals: 0 },
  sent: { heading: 'sent ÷ image', decimals: 2 },
  passes: { heading: 'passes', decimals: 0 },
  written: { heading: 'clients MiB/s', decimals: 0 },
  peak: { heading: 'peak MiB', decimals: 0 },
};

/** Runs what `argv` asks for and prints Markdown. Throws when a disk did not arrive as it was. */
export async function migrationBench(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      mib: { type: 'string' },
      load: { type: 'string' },
      runs: { type: 'string' },
      ways: { type: 'string', default: 'idle,load,plain,nbdcopy' },
      disk: { type: 'string', default: tmpdir() },
    },
  });
  const bytes = count('--mib', values.mib, values.quick ? 256 : 1024) * MiB;
  const load = count('--load', values.load, 50) * MiB;
  const runs = count('--runs', values.runs, 3);
  const wanted = values.ways.split(',');
  const ways = [
    ['idle', 'millrace, idle', (folder) => migrate(folder, bytes, 0, [])],
    ['load', `millrace, ${load / MiB} MiB/s of writes`, (folder) => migrate(folder, bytes, load, [])],
    ['plain', "millrace to flexnbd's protocol, idle", (folder) => migrate(folder, bytes, 0, ['--plain'])],
    ['nbdcopy', 'nbdcopy, nbdkit to nbdkit', (folder) => nbdcopy(folder, bytes)],
  ] satisfies Array<[string, string, (folder: string) => Promise<Figures>]>;
  const samples = new Map<string, Figures[]>(
    ways.filter(([way]) => wanted.includes(way)).map(([, name]) => [name, []]),
  );
  for (let run = 1; run <= runs; run += 1)
    for (const [, name, measure] of ways) {
      if (!samples.has(name)) continue;
      const folder = mkdtempSync(join(values.disk, 'millrace-bench-'));
      try {
        samples.get(name)?.push(await named(`${name}, run ${run}`, () => measure(folder)));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  const ratios = wanted.includes('nbdcopy') ? [{ column: 'rate', to: 'nbdcopy, nbdkit to nbdkit' }] : [];
  for (const line of table(`${bytes / MiB} MiB`, samples as Samples, columns, ratios)) console.log(line);
}

/** One process that ends with the bench. */
function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

async function port(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return free;
}

async function made(path: string): Promise<void> {
  while (!existsSync(path)) await delay(5);
}

/** An image whose places all hold write 0: its number is their last four bytes. */
function makeImage(path: string, bytes: number): void {
  const fd = openSync(path, 'w');
  const piece = randomBytes(MiB);
  for (let at = writeBytes; at <= MiB; at += writeBytes) stamp(0).copy(piece, at - 4);
  for (let at = 0; at < bytes; at += MiB) writeSync(fd, piece, 0, MiB, at);
  closeSync(fd);
}

async function migrate(
  folder: string,
  bytes: number,
  load: number,
  more: readonly string[],
): Promise<Figures> {
  const at = (name: string): string => join(folder, name);
  makeImage(at('from'), bytes);
  const [fromPort, toPort] = [await port(), await port()];
  const where = (of: number, name: string): string[] => [
    '-a',
    '127.0.0.1',
    '-p',
    `${of}`,
    '-s',
    at(`${name}.sock`),
  ];
  const source = start(process.execPath, [
    bin,
    'nbd',
    'serve',
    '--oldstyle',
    '--sync',
    'flush',
    ...where(fromPort, 'from'),
    at('from'),
  ]);
  const listen = [...where(toPort, 'to'), '--create', `${bytes}`, ...more, at('to')];
  const destination = start(process.execPath, [bin, 'nbd', 'listen', ...listen]);
  await Promise.all([made(at('from.sock')), made(at('to.sock'))]);
  const clients = new WriteLoad(fromPort, bytes, load);
  await delay(load === 0 ? 0 : 500);
  let peak = 0;
  const watch = setInterval(() => {
    for (const { pid = 0 } of [source, destination]) peak = Math.max(peak, peakMiB(pid));
  }, 50);
  const startS = now();
  const mirror = start(process.execPath, [
    bin,
    'nbd',
    'mirror',
    '--wait',
    '--json',
    at('from.sock'),
    `nbd://127.0.0.1:${toPort}`,
  ]);
  let said = '';
  mirror.stdout?.on('data', (text: Buffer) => {
    said += text.toString();
  });
  const [[code], [arrived]] = await Promise.all([once(mirror, 'close'), once(destination, 'close')]);
  clearInterval(watch);
  const seconds = now() - startS;
  clients.stop();
  await clients.ended;
  if (source.exitCode === null) await once(source, 'exit');
  if (code !== 0 || arrived !== 0)
    throw new Error(`mirror ended with ${code}, listen with ${arrived}: ${said}`);
  compare(at('to'), clients);
  const events = said
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number | string>);
  const done = events.find(({ event }) => event === 'done');
  const first = events.find(({ event }) => event === 'connected');
  // the program that asks takes a while to start
  const copying = (Number(done?.atMs) - Number(first?.atMs)) / 1000;
  return {
    rate: bytes / MiB / (copying > 0 ? copying : seconds),
    pause: Number(done?.pauseMs),
    sent: Number(done?.sentBytes) / bytes,
    passes: events.filter(({ event }) => event === 'pass').length,
    written: clients.bytesPerSecond / MiB,
    peak,
  };
}

/** 0 for a process that is ending. */
function peakMiB(pid: number): number {
  try {
    return peakMemoryBytes(pid) / MiB;
  } catch {
    return 0;
  }
}

/** Throws when a write that was acknowledged is not there. */
function compare(path: string, { acked }: WriteLoad): void {
  const fd = openSync(path, 'r');
  const bytes = Buffer.alloc(4);
  for (const [place, write] of acked.entries()) {
    readSync(fd, bytes, 0, 4, place * writeBytes + writeBytes - 4);
    // the last write of a place may have been sent and not acknowledged
    if (bytes.readUInt32BE(0) < write)
      throw new Error(`place ${place} holds write ${bytes.readUInt32BE(0)}, not ${write}`);
  }
  closeSync(fd);
}

async function nbdcopy(folder: string, bytes: number): Promise<Figures> {
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  makeImage(from, bytes);
  const fd = openSync(to, 'w');
  writeSync(fd, Buffer.alloc(1), 0, 1, bytes - 1);
  closeSync(fd);
  const servers = [from, to].map((path) => start('nbdkit', ['-f', '-U', `${path}.sock`, 'file', path]));
  await Promise.all([made(`${from}.sock`), made(`${to}.sock`)]);
  const uri = (path: string): string => `nbd+unix:///?socket=${path}.sock`;
  const startS = now();
  const [code] = await once(start('nbdcopy', ['--flush', uri(from), uri(to)]), 'exit');
  const seconds = now() - startS;
  for (const server of servers) server.kill();
  if (code !== 0) throw new Error(`nbdcopy ended with ${code}`);
  return { rate: bytes / MiB / seconds, pause: 0, sent: 1, passes: 1, written: 0, peak: 0 };
}
