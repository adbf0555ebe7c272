/**
 * Streaming a trace from a directory into a relay, end to end: from the first byte read to the relay's word that nothing
 * is pending. Beside it what the generator reaches with the same relays, the plain receive-and-write loop, and a copy.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { missingPeers } from '../interop/helpers/peers.ts';
import { drain } from './consumerd.ts';
import { now } from './measure.ts';
import { type Columns, type Figures, table } from './report.ts';
import { count, memoryFileSystem, named, Rounds } from './rounds.ts';
import { RunningTarget } from './running-target.ts';
import { throughput } from './runs.ts';
import { compiled, missing, type Target, targets } from './targets.ts';
import { writeTrace } from './view-trace.ts';

export const usage =
  'consume [--mib N] [--runs N]: a trace from a directory into relays, through hops, and a copy';

const bin = compiled('cli/bin.js');
const MiB = 1_048_576;
const packetSizeBytes = 65_536;
/** What an event of the trace takes, about. */
const eventBytes = 33;
/** A buffer for each processor must hold so much. */
const mostDrainedMib = 256;

const columns: Columns = { rate: { heading: 'MB/s', decimals: 0 } };

interface Way {
  name: string;
  run(): Promise<Figures>;
}

function target(name: string): Target {
  return targets.find((each) => each.name === name) as Target;
}

/** A relay that keeps nothing and passes everything on to `next`. */
function hop(next: RunningTarget): Target {
  const relay = target('millrace');
  const forward = `net://127.0.0.1:${next.ports.control}:${next.ports.data}`;
  return {
    ...relay,
    name: 'hop',
    argv: (ports, output) => [...relay.argv(ports, output), '--forward', forward, '--no-store'],
  };
}

/** Bytes of the data files below a directory, in the order of their names. */
function dataOf(directory: string): Buffer[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => /channel0_\d+$/.test(path) && !path.startsWith('.millrace'))
    .sort((a, b) => a.localeCompare(b))
    .map((path) => readFileSync(join(directory, path)));
}

class ConsumeBench {
  readonly #trace: string;
  readonly #bytes: number;
  readonly #rounds: Rounds;
  #checked = new Set<string>();

  constructor(trace: string, runs: number) {
    this.#trace = trace;
    this.#bytes = dataOf(trace).reduce((sum, { length }) => sum + length, 0);
    this.#rounds = new Rounds(runs);
  }

  async run(): Promise<void> {
    this.#rounds.introduce();
    console.log(`- trace: ${(this.#bytes / MiB).toFixed(0)} MiB in packets of 64 KiB, two streams`);
    const ways: Way[] = [
      { name: 'copy', run: () => this.#copy() },
      { name: 'generator into plain', run: () => this.#generate('plain') },
      { name: 'consume into millrace', run: () => this.#through('consume into millrace', 'millrace', 0) },
      { name: 'consume, one hop', run: () => this.#through('consume, one hop', 'millrace', 1) },
      { name: 'consume, two hops', run: () => this.#through('consume, two hops', 'millrace', 2) },
    ];
    if (missing(target('lttng-relayd')) === undefined)
      ways.push(
        { name: 'generator into lttng-relayd', run: () => this.#generate('lttng-relayd') },
        {
          name: 'consume into lttng-relayd',
          run: () => this.#through('consume into lttng-relayd', 'lttng-relayd', 0),
        },
      );
    const kinds = ['lttng-relayd', 'millrace'] as const;
    if (missingPeers() === undefined)
      for (const kind of kinds)
        ways.push({ name: `consumerd into ${kind}`, run: () => this.#consumerd(kind) });
    const samples = await this.#rounds.run('consume', ways, (way) => way.run());
    const ratios = ['copy', 'generator into plain', 'generator into lttng-relayd', 'consume into millrace'];
    const shown = ratios.map((to) => ({ column: 'rate', to }));
    console.log(`\n${table('way', samples, columns, shown).join('\n')}`);
  }

  #figures(seconds: number): Figures {
    return { rate: this.#bytes / 1e6 / seconds };
  }

  async #copy(): Promise<Figures> {
    const to = mkdtempSync(join(memoryFileSystem, 'millrace-bench-'));
    try {
      const begin = now();
      await promisify(execFile)('cp', ['-r', this.#trace, to]);
      return this.#figures(now() - begin);
    } finally {
      rmSync(to, { recursive: true });
    }
  }

  /** LTTng's consumer daemon with a session that is full: see `drain`. */
  async #consumerd(kind: 'lttng-relayd' | 'millrace'): Promise<Figures> {
    const { bytes, seconds } = await drain(kind, Math.min(mostDrainedMib, this.#bytes / MiB));
    return { rate: bytes / 1e6 / seconds };
  }

  async #generate(name: string): Promise<Figures> {
    const cell = { packetSizeBytes, streamCount: 2, sessionCount: 1, output: 'mem' as const };
    const load = { cell, packetsPerStream: Math.floor(this.#bytes / packetSizeBytes / 2) };
    const { bytes, seconds } = await throughput(target(name), memoryFileSystem, load, false);
    return { rate: bytes / 1e6 / seconds };
  }

  /** The first run of each way is checked byte for byte. */
  async #through(way: string, end: string, hops: number): Promise<Figures> {
    // With hops there are more programs than cores: where they run is left to the system.
    const core = hops === 0 ? 0 : 'any';
    const running = [await RunningTarget.start(target(end), memoryFileSystem, core)];
    try {
      for (let n = 0; n < hops; n++) {
        const next = running.at(-1) as RunningTarget;
        running.push(await RunningTarget.start(hop(next), memoryFileSystem, core));
      }
      const seconds = await this.#consume(running);
      for (const relay of running.toReversed()) await relay.stop();
      if (!this.#checked.has(way)) {
        const [got, expected] = [dataOf((running[0] as RunningTarget).output), dataOf(this.#trace)];
        const same =
          got.length === expected.length && got.every((bytes, at) => bytes.equals(expected[at] as Buffer));
        if (!same) throw new Error('what arrived is not what was sent');
        this.#checked.add(way);
      }
      return this.#figures(seconds);
    } finally {
      for (const relay of running) relay.destroy();
    }
  }

  /** Seconds from the first frame until the last relay has all of it; the start of the program does not count. */
  async #consume(running: readonly RunningTarget[]): Promise<number> {
    const { ports } = running.at(-1) as RunningTarget;
    const to = `net://127.0.0.1:${ports.control}:${ports.data}`;
    const begin = now();
    const child = spawn(process.execPath, [bin, 'consume', this.#trace, '--to', to, '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let words = '';
    child.stdout.on('data', (bytes) => {
      words += bytes;
    });
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(`consume: ${words}`);
    const ended = now();
    const { elapsedMs } = JSON.parse(words) as { elapsedMs: number };
    for (const relay of running.slice(1)) await this.#passed(relay);
    return now() - begin - (ended - begin - elapsedMs / 1000);
  }

  /** A hop has brought on everything when its spools are gone. */
  async #passed(relay: RunningTarget): Promise<void> {
    const spools = join(relay.output, '.millrace', 'spool');
    while (statSync(spools, { throwIfNoEntry: false }) !== undefined && readdirSync(spools).length > 0)
      await delay(5);
  }
}

/** Runs the bench with `argv` (see `usage`); rejects with what went wrong where. */
export async function consumeBench(argv: string[]): Promise<void> {
  const option = (name: string) => {
    const at = argv.indexOf(name);
    return at < 0 ? undefined : argv[at + 1];
  };
  const mib = count('--mib', option('--mib'), 2048);
  const runs = count('--runs', option('--runs'), 5);
  const trace = mkdtempSync(join(memoryFileSystem, 'millrace-bench-trace-'));
  try {
    await named(`writing ${mib} MiB`, async () => writeTrace(trace, Math.round((mib * MiB) / eventBytes)));
    await new ConsumeBench(trace, runs).run();
  } finally {
    rmSync(trace, { recursive: true, force: true });
  }
}
