import { hello } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Has another size. */
export const helloWrongSize: Sin = { hello: (sizeBytes) => hello(sizeBytes + 512) };
