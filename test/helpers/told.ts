import type { ExecutionContext } from 'ava';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

/** What is told under `event` (all events where it is undefined) until the test ends. */
export function toldBy(t: ExecutionContext, event?: string): Told[] {
  const told: Told[] = [];
  const listener = (message: unknown): void => {
    const one = message as Told;
    if (event === undefined || one.event === event) told.push(one);
  };
  toldChannel.subscribe(listener);
  t.teardown(() => toldChannel.unsubscribe(listener));
  return told;
}
