/** The relays that the bench can drive, one row each. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Ports {
  control: number;
  data: number;
  live: number;
}

export interface Target {
  name: string;
  /** Files that must exist for it to be run. */
  needs: string[];
  /** Program and arguments. `output`: an existing empty directory. */
  argv(ports: Ports, output: string): string[];
  /** false: keeps packet bytes alone, so nothing else of it is checked or timed. */
  storesIndexes: boolean;
}

/** Path of a compiled file of this repository. */
export function compiled(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

function relayArguments(ports: Ports, output: string): string[] {
  const url = (port: number) => `tcp://127.0.0.1:${port}`;
  return ['-o', output, '-C', url(ports.control), '-D', url(ports.data), '-L', url(ports.live)];
}

const lttngRelayd = '/usr/bin/lttng-relayd';
const plain = compiled('test/bench/plain.js');
const bin = compiled('cli/bin.js');

function lttng(name: string): Target {
  return {
    name,
    needs: [lttngRelayd],
    argv: (ports, output) => [lttngRelayd, ...relayArguments(ports, output)],
    storesIndexes: true,
  };
}

function plainLoop(name: string, output: (directory: string) => string): Target {
  return {
    name,
    needs: [],
    argv: (ports, directory) => [
      process.execPath,
      plain,
      String(ports.control),
      String(ports.data),
      output(directory),
    ],
    storesIndexes: false,
  };
}

/** In the order in which a round runs them; `lttng-relayd-again` shows how far equal programs seem to differ. */
export const targets: readonly Target[] = [
  {
    name: 'millrace',
    needs: [bin],
    argv: (ports, output) => [process.execPath, bin, 'relay', ...relayArguments(ports, output)],
    storesIndexes: true,
  },
  lttng('lttng-relayd'),
  plainLoop('plain', (directory) => directory),
  lttng('lttng-relayd-again'),
];

/** Takes in everything and stores nothing: what the generator can do at the most. */
export const discard: Target = plainLoop('discard', () => '-');

/** The first file that `target` needs and that is not there. */
export function missing(target: Target): string | undefined {
  return target.needs.find((path) => !existsSync(path));
}
