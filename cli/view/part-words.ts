/** What those who print parts of a view say to the one who puts the parts behind each other. */
import type { Edges, Part } from '../../lib/index.ts';
import type { ViewSettings } from './settings.ts';

/** Lines are in a slot of the printer's memory, and lent until it is given back. Words are for stderr. */
export type PartWord =
  | { kind: 'lines'; part: number; slot: number; bytes: number; edges: Edges }
  | { kind: 'words'; part: number; words: string }
  | { kind: 'end'; part: number; edges: Edges }
  | { kind: 'failed' };

/** What printers share. */
export interface PartWork {
  parts: readonly Part[];
  /** One 32-bit integer: the first part that nobody has begun. */
  claims: SharedArrayBuffer;
}

/** What a thread is given when it starts; its work comes later, and slots of lines that are written. */
export interface JobData {
  settings: ViewSettings;
  inputs: readonly string[];
  colorful: boolean;
  memory: SharedArrayBuffer;
}

/** What is handed over at a time: so little that it stays in a core's cache, so much that handing over costs little. */
export const slotBytes = 262_144;

/** Lines that may wait for their turn, a part's as a rule: 18 MiB. Memory that is never written to costs nothing. */
export function newSlots(): SharedArrayBuffer {
  return new SharedArrayBuffer(slotBytes * 72);
}
