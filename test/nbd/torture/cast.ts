/** Who takes part in a run: source, destination, and who asks for the migration, each a process; and the link. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));

/** A process that may be killed, stopped and resumed. */
export class Actor {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals>;
  /** How it ended; undefined: it lives. */
  end: number | NodeJS.Signals | undefined;
  said = '';

  constructor(name: string, args: readonly string[]) {
    this.name = name;
    this.#child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (bytes: Buffer) => {
        this.said += bytes.toString();
      });
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      this.end = (code ?? signal) as number | NodeJS.Signals;
      return this.end;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when `path` is there; rejects when the process ends before. */
  async made(path: string): Promise<void> {
    while (!existsSync(path)) {
      if (this.end !== undefined) throw new Error(`${this.name} ended with ${this.end}: ${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
