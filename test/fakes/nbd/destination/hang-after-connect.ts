import type { Sin } from '../destination.ts';

/** Accepts, and never says hello. */
export const hangAfterConnect: Sin = { hello: () => undefined };
