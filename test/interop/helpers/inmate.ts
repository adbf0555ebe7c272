/** A running program inside a world: its lines, its end, and signals to it. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { within } from './wait.ts';

export class Inmate {
  readonly name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #errorText = '';
  /** Exit code, or 128 + the number of the signal as shells count it. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(name: string, child: ChildProcessWithoutNullStreams) {
    this.name = name;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errorText += text;
    });
    child.stdin.on('error', () => {}); // the program may be killed while we write
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Everything it wrote to standard error so far. */
  get errorText(): string {
    return this.#errorText;
  }

  /** The next line of its standard output; rejects when it ends instead. */
  async line(): Promise<string> {
    const { value, done } = await within(`a line from ${this.name}`, this.#lines.next());
    if (done) throw new Error(`${this.name} ended: ${this.#errorText}`);
    return value;
  }

  /** Every line that it still writes, when it has ended. */
  async rest(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) return lines;
      lines.push(value);
    }
  }

  /** Writes one line to its standard input. */
  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Sends a signal to the program (not to nsenter, which waits for it). */
  kill(signal: NodeJS.Signals): void {
    if (!this.running) {
      const { exitCode, signalCode } = this.#child;
      throw new Error(
        `${this.name} has ended with ${exitCode ?? signalCode} before ${signal}: ${this.#errorText}`,
      );
    }
    const pid = this.#child.pid as number;
    const [inner] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    if (inner) process.kill(Number(inner), signal);
  }

  /** Ends its standard input and waits until it is gone. */
  async finish(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.#child.stdin.end();
    return within(`${this.name} to end`, this.ended);
  }
}
