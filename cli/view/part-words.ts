/** What the threads of `millrace view --jobs` and the one that started them say to each other. */
import type { Edges, Part } from '../../lib/index.ts';
import type { ViewSettings } from './settings.ts';

/** What a thread is given when it starts. */
export interface JobData {
  settings: ViewSettings;
  inputs: readonly string[];
  colorful: boolean;
  parts: readonly Part[];
  /** Slots of lines: the thread fills them, and has them back when they are written. */
  memory: SharedArrayBuffer;
}

/** What a thread says. Losses and warnings are words for stderr, in the order of the parts. */
export type JobWord =
  | { kind: 'lines'; slot: number; bytes: number; edges: Edges }
  | { kind: 'words'; words: string }
  | { kind: 'end'; edges: Edges }
  | { kind: 'failed' };

/** What a view writes at a time, and an event. */
export const slotBytes = 147_456;
/** Lines of a thread that may wait for their turn: 8 MiB. */
export const slotCount = 56;
