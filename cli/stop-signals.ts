import type { Context } from './context.ts';

/** What was asked for: the first signal ends orderly, the second at once. */
export interface StopSignals {
  /** Resolves with the first request to stop. */
  readonly first: Promise<void>;
  /** Resolves with the number of the second signal. */
  readonly second: Promise<number>;
  /** Asks to stop as the first signal does. */
  stop(): void;
  /** Gives the signals their default effect back. */
  forget(): void;
}

const stopping = [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const;

/**
 * Watches SIGTERM and SIGINT, and ignores SIGPIPE and SIGUSR1 as lttng-relayd does (Node would open its debugger
 * on SIGUSR1). Source: relay-behaviour, "Signals and exit".
 */
export function watchSignals({ onSignal }: Pick<Context, 'onSignal'>): StopSignals {
  let isStopping = false;
  let stop = (): void => {};
  let stopNow: (signal: number) => void = () => {};
  const first = new Promise<void>((resolve) => {
    stop = () => {
      isStopping = true;
      resolve();
    };
  });
  const second = new Promise<number>((resolve) => {
    stopNow = resolve;
  });
  const undo = [
    ...stopping.map(([signal, number]) => onSignal(signal, () => (isStopping ? stopNow(number) : stop()))),
    ...(['SIGPIPE', 'SIGUSR1'] as const).map((signal) => onSignal(signal, () => {})),
  ];
  const forget = (): void => {
    for (const each of undo) each();
  };
  return { first, second, stop, forget };
}
