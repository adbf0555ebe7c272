/** The relay that a scenario streams into: LTTng's or ours, with the same command line. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Inmate } from './inmate.ts';
import { projectRoot } from './peers.ts';
import { until, within } from './wait.ts';
import type { World } from './world.ts';

export type RelayKind = 'lttng-relayd' | 'millrace';

/** Control, data and live port. */
export type Ports = readonly [control: number, data: number, live: number];

/** Where producers and viewers look for a relay. */
export const standardPorts: Ports = [5342, 5343, 5344];

export interface RelayOptions {
  kind: RelayKind;
  /** Made when it is missing. */
  outputPath: string;
  ports: Ports;
  /** More options of the command line. */
  args: readonly string[];
  env?: Record<string, string> | undefined;
}

export class Relay {
  readonly #world: World;
  readonly #options: RelayOptions;
  #program: Inmate;

  private constructor(world: World, options: RelayOptions, program: Inmate) {
    this.#world = world;
    this.#options = options;
    this.#program = program;
  }

  /** Starts a relay; resolves when it listens. */
  static async start(world: World, options: RelayOptions): Promise<Relay> {
    mkdirSync(options.outputPath, { recursive: true });
    return new Relay(world, options, await launch(world, options));
  }

  get outputPath(): string {
    return this.#options.outputPath;
  }

  /** Ends it with a signal; resolves with how it ended, as `code` or as the signal's name. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
    this.#program.kill(signal);
    const end = await within(`${this.#options.kind} to end after ${signal}`, this.#program.ended);
    return String(end.code ?? end.signal);
  }

  /** Starts it again on the same folder, after a stop. */
  async startAgain(): Promise<void> {
    this.#program = await launch(this.#world, this.#options);
  }

  /** What it wrote to standard error, for a failing test to show. */
  get errorText(): string {
    return this.#program.errorText;
  }
}

async function launch(world: World, { kind, outputPath, args, ports, env }: RelayOptions): Promise<Inmate> {
  const [control, data, live] = ports.map((port) => `tcp://127.0.0.1:${port}`) as [string, string, string];
  const options = ['-o', outputPath, '-C', control, '-D', data, '-L', live, ...args];
  const program =
    kind === 'lttng-relayd'
      ? world.start('lttng-relayd', options, env)
      : world.start(process.execPath, [join(projectRoot, 'dist/cli/bin.js'), 'relay', ...options], env);
  await until(`${kind} to listen`, () => {
    if (!program.running) throw new Error(`${kind} ended: ${program.errorText}`);
    return ports.every((port) => world.listens(port));
  });
  return program;
}
