/** Paging, as other tools do it: what goes to a terminal goes through `$PAGER`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Context } from '../context.ts';
import type { ViewSettings } from './settings.ts';

/** Where nothing is wished: less if it is there. */
const usualPager = 'if command -v less >/dev/null; then exec less; else exec cat; fi';
/** Ends at once where all fits, shows colours, leaves the text on the screen. */
const usualLess = 'FRX';

/** The shell command to page with; undefined: nothing is paged. Never for what is no terminal, or is still coming. */
export function pagerOf({ env, isTerminal }: Context, settings: ViewSettings): string | undefined {
  const isPaged =
    isTerminal &&
    settings.pager &&
    settings.file === undefined &&
    settings.format !== 'none' &&
    settings.format !== 'perfetto';
  const pager = env.PAGER ?? usualPager;
  return !isPaged || pager.trim() === '' || pager.trim() === 'cat' ? undefined : pager;
}

/** A pager that runs. Interrupts are its own matter until it has ended. */
export class Pager {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #forget: () => void;

  constructor(context: Context, command: string) {
    this.#child = spawn('sh', ['-c', command], {
      stdio: ['pipe', 'inherit', 'inherit'],
      cwd: context.cwd,
      env: { LESS: usualLess, ...context.env },
    });
    this.#ended = once(this.#child, 'close');
    // Whoever writes is told of errors; the shell's own are told by the shell.
    this.#ended.catch(() => {});
    this.#child.stdin?.on('error', () => {});
    this.#forget = context.onSignal('SIGINT', () => {});
  }

  get input(): Writable {
    return this.#child.stdin as Writable;
  }

  /** Nothing more comes. Resolves when the user has seen enough; rejects when there was no shell to run. */
  async end(): Promise<void> {
    this.#child.stdin?.end();
    try {
      await this.#ended;
    } finally {
      this.#forget();
    }
  }
}
