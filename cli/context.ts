/** What a command may touch of the outside: given to it, so that commands run inside tests as they run in a shell. */
import type { Readable, Writable } from 'node:stream';
import type { Relay, RelayOptions } from '../lib/index.ts';

export interface Context {
  /** Arguments behind the program's name; for a command, behind the command's name. */
  argv: readonly string[];
  /** Program and arguments that start this very process again. */
  self: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** Standard input, opened when it is asked for. */
  stdin(): Readable;
  stdout: Writable;
  /** stdout is a terminal. */
  isTerminal: boolean;
  stderr: Writable;
  stderrIsTerminal: boolean;
  pid: number;
  /** Process that started this one, as it was at the start. */
  ppid: number;
  /** Numeric user; 0 has other folders than everybody else. */
  uid: number;
  chdir(path: string): void;
  kill(pid: number, signal: NodeJS.Signals): void;
  /** Listens to a signal, which loses its default effect; returns what undoes it. */
  onSignal(signal: NodeJS.Signals, listener: () => void): () => void;
  createRelay(options: RelayOptions): Promise<Relay>;
}

/** A command of the program: `millrace NAME …`. */
export interface Command {
  name: string;
  summary: string;
  /** The page that `--help` prints. */
  help(): string;
  /** Resolves to the exit status; a rejection is told on stderr and costs status 1, or 2 for wrong usage. */
  run(context: Context): Promise<number>;
  /** Status for wrong usage, where it is not 2. */
  usageStatus?: number;
}
