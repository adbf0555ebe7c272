/** Real viewers: babeltrace2 and babeltrace 1.5 that read a live session until it is over. */
import { accessSync, constants } from 'node:fs';
import type { Inmate } from './inmate.ts';
import { within } from './wait.ts';
import type { World } from './world.ts';

/** The viewers, and how each is told to read a live session. */
export const viewers = {
  babeltrace2: ['babeltrace2', '--no-delta', '--input-format=lttng-live'],
  'babeltrace 1.5': ['babeltrace', '--no-delta', '-i', 'lttng-live'],
} as const;

export type ViewerName = keyof typeof viewers;

/** Whether a viewer is installed here. */
export function hasViewer(name: ViewerName): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(`${folder}/${viewers[name][0]}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A viewer at work. */
export class Watching {
  readonly name: ViewerName;
  readonly #program: Inmate;
  readonly #lines: Promise<string[]>;

  private constructor(name: ViewerName, program: Inmate) {
    this.name = name;
    this.#program = program;
    this.#lines = program.rest();
  }

  /** Starts one on the session `name` of `host`, at the relay of an address. */
  static start(
    world: World,
    viewer: ViewerName,
    name: string,
    { host = 'traced', address = '127.0.0.1' } = {},
  ): Watching {
    const [program, ...options] = viewers[viewer];
    return new Watching(viewer, world.start(program, [...options, `net://${address}/host/${host}/${name}`]));
  }

  /** Everything it printed when it ended by itself: one event a line, without time and host. */
  async events(): Promise<string[]> {
    const { code, signal } = await within(`${this.name} to end`, this.#program.ended, 60_000);
    if (code !== 0) throw new Error(`${this.name} ended with ${code ?? signal}: ${this.#program.errorText}`);
    return (await this.#lines)
      .filter((line) => line !== '')
      .map((line) => line.slice(line.indexOf('millrace:')));
  }

  get errorText(): string {
    return this.#program.errorText;
  }
}
