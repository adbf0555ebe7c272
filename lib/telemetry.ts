/**
 * The names under which the rooms tell what happens. Logs, status and metrics are subscribers of these
 * channels and never called directly; a channel without subscribers costs one comparison.
 */
import { channel } from 'node:diagnostics_channel';
import type { ErrorCode, Fact } from './errors.ts';

/** trace = per frame, debug = per command, info = life cycle, warn = recovered, error = data lost or operator needed. */
export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** What is published: a sentence and the facts behind it. */
export interface Told {
  level: Level;
  /** `<room>:<event>`, for instance `relay:session-open`. */
  event: string;
  /** One sentence without a final stop. */
  text: string;
  facts: Readonly<Record<string, Fact | undefined>>;
  /** Set when the event is a failure. */
  code?: ErrorCode;
}

/** One channel for all words; subscribers filter by level and event. */
export const toldChannel = channel('millrace:told');

/** Publishes one event. `facts` are copied by nobody: do not change them afterwards. */
export function tell(
  level: Level,
  event: string,
  text: string,
  facts: Told['facts'] = {},
  code?: ErrorCode,
): void {
  if (!toldChannel.hasSubscribers) return;
  toldChannel.publish(
    code === undefined ? { level, event, text, facts } : { level, event, text, facts, code },
  );
}
