/** A relay in this process on ports of the system's choice, and what it leaves behind. */
import assert from 'node:assert';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Limits, limits, type Relay, type RelayOptions, relayOptions } from '../../lib/index.ts';
import { createRelay } from '../../lib/relay/server.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

// Directory names hold local time; expectations are written in UTC.
process.env.TZ = 'UTC';

export interface TestRelayOptions extends Partial<Omit<RelayOptions, 'limits'>> {
  limits?: Partial<Limits>;
}

/** A relay under test. */
export class TestRelay {
  readonly relay: Relay;
  readonly outputPath: string;
  /** Everything said since the start. */
  readonly told: Told[] = [];
  #listener = (message: unknown): void => {
    this.told.push(message as Told);
  };

  private constructor(options: TestRelayOptions, outputPath: string) {
    this.outputPath = outputPath;
    this.relay = createRelay(
      relayOptions(outputPath, { syncIntervalMs: 200, ...options, limits: { ...limits, ...options.limits } }),
    );
    toldChannel.subscribe(this.#listener);
  }

  /** Starts one; at the test's end everything that it owned must be gone. */
  static async start(
    t: Pick<ExecutionContext, 'teardown'>,
    options: TestRelayOptions = {},
  ): Promise<TestRelay> {
    const outputPath = options.outputPath ?? realpathSync(mkdtempSync(join(tmpdir(), 'millrace-relay-')));
    const relay = new TestRelay(options, outputPath);
    t.teardown(() => relay.#end(options.outputPath === undefined));
    await relay.relay.start();
    return relay;
  }

  get control() {
    return this.relay.addresses.control;
  }

  get data() {
    return this.relay.addresses.data;
  }

  status() {
    return this.relay.status();
  }

  /** Warnings and errors, of one peer if it is named. */
  complaints(peer?: string): Told[] {
    return this.told.filter(
      ({ level, facts }) =>
        (level === 'warn' || level === 'error') && (peer === undefined || facts.peer === peer),
    );
  }

  /** Resolves when there is an empty file of each of these names outside the archives: those of a new chunk are made a little later. */
  async made(...names: string[]): Promise<void> {
    const empty = () =>
      Object.entries(this.tree()).filter(
        ([path, bytes]) => bytes?.length === 0 && !path.includes('/archives/'),
      );
    const missing = () => names.filter((name) => !empty().some(([path]) => `/${path}`.endsWith(`/${name}`)));
    await until(
      () => missing().length === 0,
      () => `without a file: ${missing().join(', ')}`,
    );
  }

  /** Resolves when the peers are gone and nothing of theirs is left. */
  async empty(): Promise<void> {
    const owned = () => [left(this.relay), ...this.descriptors()].join(' ').trim();
    await until(() => owned() === '', owned);
  }

  /** Files of sessions, below the output directory, that this process has open. */
  descriptors(): string[] {
    const own = `${this.outputPath}/.millrace/`;
    return openFiles().filter((path) => path.startsWith(`${this.outputPath}/`) && !path.startsWith(own));
  }

  tree(): Record<string, Buffer | null> {
    return tree(this.outputPath);
  }

  async #end(remove: boolean): Promise<void> {
    try {
      await this.relay.close();
      assert.equal(left(this.relay), '');
      assert.deepEqual(this.descriptors(), []);
    } finally {
      toldChannel.unsubscribe(this.#listener);
      if (remove) rmSync(this.outputPath, { recursive: true, force: true });
    }
  }
}

/** What a relay still owns, in words; empty when nothing. */
function left(relay: Relay): string {
  const { connections, sessions, slabsInUse, bytesInFlight, traceChunks } = relay.status();
  const { control, data } = connections;
  const counts = { control, data, sessions: sessions.length, slabsInUse, bytesInFlight, traceChunks };
  return Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

/** Paths of all open descriptors of this process. */
export function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The descriptor that reads the directory is gone by now.
      return [];
    }
  });
}

/** All files below `directory` with their bytes, empty directories with null; the relay's own files left out. */
export function tree(directory: string): Record<string, Buffer | null> {
  const found: Record<string, Buffer | null> = {};
  const walk = (relative: string): void => {
    const entries = readdirSync(join(directory, relative), { withFileTypes: true });
    if (entries.length === 0 && relative !== '') found[`${relative}/`] = null;
    for (const entry of entries) {
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.name === '.millrace') continue;
      if (entry.isDirectory()) walk(path);
      else found[path] = readFileSync(join(directory, path));
    }
  };
  walk('');
  return found;
}

/** Waits for a condition that nobody announces; after `seconds`, rejects with what was there instead. */
export async function until(condition: () => boolean, instead: () => string, seconds = 10): Promise<void> {
  const deadlineMs = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${seconds} s in vain: ${instead()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
