/** What benches of relays have in common: their options, the rounds, and the samples that come of them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Figures, machine } from './report.ts';
import { placement } from './running-target.ts';
import { missing, type Target } from './targets.ts';

export const memoryFileSystem = '/dev/shm';

/** Runs and keeps the samples of one bench. */
export class Rounds {
  readonly #count: number;
  readonly #about: Record<string, string>;
  readonly #results: Record<string, Record<string, Figures[]>> = {};

  /** `count`: how often each target is measured. */
  constructor(count: number) {
    this.#count = count;
    this.#about = { ...machine(), placement: placement(), runs: String(count) };
  }

  /** Prints what the figures are measured on. */
  introduce(): void {
    for (const [what, text] of Object.entries(this.#about)) console.log(`- ${what}: ${text}`);
  }

  /** Every target once a round, so that a busy minute of the machine falls on all of them. */
  async run<T extends { name: string }>(
    what: string,
    chosen: readonly T[],
    measure: (target: T) => Promise<Figures>,
  ): Promise<Map<string, Figures[]>> {
    const samples = new Map<string, Figures[]>(chosen.map((target) => [target.name, []]));
    for (let round = 0; round < this.#count; round++) {
      for (const target of chosen) {
        const figures = await named(`${what}, ${target.name}, run ${round + 1}`, () => measure(target));
        samples.get(target.name)?.push(figures);
      }
    }
    this.#results[what] = Object.fromEntries(samples);
    return samples;
  }

  /** Writes every sample to `path` as JSON. */
  save(path: string): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify({ about: this.#about, results: this.#results }, null, 2)}\n`);
    console.log(`\nSamples: ${path}`);
  }
}

/** A count that was given as an option, or else `fallback`. Throws an Error that quotes the option. */
export function count(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`${option} ${text} is no count`);
  return Number(text);
}

/** Relays of `targets` by their names, separated by commas; those that cannot run here are told of and left out. */
export function chosenTargets(against: string | undefined, targets: readonly Target[]): readonly Target[] {
  const names = against?.split(',') ?? targets.map((target) => target.name);
  return names.flatMap((name) => {
    const target = targets.find((row) => row.name === name);
    if (target === undefined) {
      throw new Error(`--against ${name}: no such relay; there are ${targets.map((t) => t.name).join(', ')}`);
    }
    const file = missing(target);
    if (file === undefined) return [target];
    console.error(`${name} is left out: ${file} is missing`);
    return [];
  });
}

/** Runs `action`; `what` is shown while it runs, and goes into the message of its error. */
export async function named<T>(what: string, action: () => Promise<T>): Promise<T> {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
  try {
    return await action();
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}
