/** Waiting for a condition that nothing announces, never longer than a deadline. */
import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 20;

/**
 * Resolves with the first value of `probe` that is neither undefined nor false. Rejects after `deadlineMs`
 * with `what` in the message.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = 20_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value as Exclude<T, false | undefined>;
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await delay(pollMs);
  }
}

/** `promise`, or a rejection that names `what` after `deadlineMs`. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = 20_000): Promise<T> {
  const late = new AbortController();
  const timer = delay(deadlineMs, undefined, { signal: late.signal }).then(
    () => Promise.reject(new Error(`waited ${deadlineMs} ms in vain for ${what}`)),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([promise, timer]);
  } finally {
    late.abort();
  }
}
