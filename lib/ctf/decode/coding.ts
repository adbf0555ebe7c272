import type { Code } from './code.ts';
import type { Emitter } from './emitter.ts';
import type { Field } from './layout.ts';
import type { SlotCode } from './slot-code.ts';

/** What statements for one kind of field need to be made. */
export interface Coding {
  readonly code: Code;
  readonly emitter: Emitter;
  readonly slots: SlotCode;
  isShown(field: Field): boolean;
  /** Makes the statements of a field inside another. */
  field(field: Field): void;
}
