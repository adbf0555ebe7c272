import type { Sin } from '../destination.ts';

/** Takes everything in and never replies. */
export const hangAfterWrite: Sin = { reply: () => undefined };
