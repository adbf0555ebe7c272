/**
 * Compiles the layout of a stream class to JavaScript functions, so that decoding is straight-line code: positions
 * that are known are constants, what nobody needs is not read. What the functions do with the fields is an emitter's
 * matter. Source: ctf, "Encoding of fields", "Packets".
 */
import { limits } from '../../limits.ts';
import { fixedSizeBits } from '../field-types.ts';
import type { ScopeName } from '../roles.ts';
import { Code } from './code.ts';
import type { Coding } from './coding.ts';
import { codeArray, codeOptional, codeStruct, codeVariant } from './compound-code.ts';
import type { Cursor } from './cursor.ts';
import type { Emitter, MakeEmitter } from './emitter.ts';
import { type EventLayout, type Field, type StreamLayout, type StructField, stepOf } from './layout.ts';
import { hasEffects } from './measure.ts';
import { runtime } from './runtime.ts';
import { codeFloat, codeInteger, codeString, codeText } from './scalar-code.ts';
import { SlotCode } from './slot-code.ts';

/** Decodes from where the cursor is, and leaves it behind the last field. `out`: what the emitter's code writes to. */
export type Decode<Out> = (cursor: Cursor, out: Out) => void;

interface Part {
  scope: ScopeName;
  struct: StructField | undefined;
}

/** A packet's header and context, from its first bit on. */
export function compilePacket<Out>(layout: StreamLayout, make: MakeEmitter): Decode<Out> {
  return compile(make, [
    { scope: 'packetHeader', struct: layout.packetHeader },
    { scope: 'packetContext', struct: layout.packetContext },
  ]);
}

/** The header of an event: leaves its id, and the time, with the cursor. */
export function compileHeader(layout: StreamLayout, make: MakeEmitter): Decode<undefined> {
  return compile(make, [{ scope: 'eventHeader', struct: layout.eventHeader }]);
}

/** What comes behind the header of an event. */
export function compileBody<Out>(layout: StreamLayout, event: EventLayout, make: MakeEmitter): Decode<Out> {
  return compile(make, [
    { scope: 'eventCommonContext', struct: layout.eventContext },
    { scope: 'eventContext', struct: event.context },
    { scope: 'eventPayload', struct: event.payload },
  ]);
}

function compile<Out>(make: MakeEmitter, parts: readonly Part[]): Decode<Out> {
  const code = new Code();
  const locals = code.reserve();
  const coder = new FieldCoder(code, make(code), parts[0]?.scope ?? 'eventPayload');
  coder.parts(parts);
  locals(`let b = c.at, q = 0, z = ${limits.emptyElements}; const v = c.view, r = c.bytes, C = c.clock, S = c.shared;
${coder.slots.declarations}`);
  const constants = code.constants.map((_, i) => `const k${i} = K[${i}];`).join('\n');
  const text = `'use strict';\n${constants}\nreturn function (c, o) {\n${code.text()}\n};`;
  // The text is made of literals of this room and numbers, see `code.ts`; metadata is in the constants.
  // oxlint-disable-next-line no-implied-eval, no-new-func
  return new Function('K', 'R', text)(code.constants, runtime) as Decode<Out>;
}

class FieldCoder implements Coding {
  readonly code: Code;
  readonly emitter: Emitter;
  readonly slots: SlotCode;
  /** What is shown of a scope that is shown at all. */
  #emitting = false;

  constructor(code: Code, emitter: Emitter, scope: ScopeName) {
    this.code = code;
    this.emitter = emitter;
    const step = stepOf(scope);
    this.slots = new SlotCode(code, step);
    // Events begin anywhere.
    if (step !== 'packet') code.know(1, 0);
  }

  parts(parts: readonly Part[]): void {
    const code = this.code;
    this.emitter.begin();
    for (const { scope, struct } of parts) {
      if (struct === undefined) continue;
      code.position.order = undefined;
      code.line('q = 0;');
      this.#emitting = struct.shown && scope !== 'packetHeader' && scope !== 'eventHeader';
      if (this.#emitting) this.emitter.scope(scope);
      this.field(struct);
    }
    code.settle();
    code.line('if (b > c.packetBits) R.beyond();');
    this.emitter.end();
    code.line('c.at = b;');
  }

  isShown(field: Field): boolean {
    return this.#emitting && field.shown;
  }

  field(field: Field): void {
    this.code.align(field.alignBits);
    if (!this.isShown(field) && !hasEffects(field)) {
      const size = fixedSizeBits(field.type);
      if (size !== undefined && size < 2 ** 30 && field.kind !== 'integer' && field.kind !== 'float') {
        this.code.skip(size);
        return;
      }
    }
    switch (field.kind) {
      case 'integer':
        codeInteger(this, field);
        return;
      case 'float':
        codeFloat(this, field);
        return;
      case 'string':
        codeString(this, field);
        return;
      case 'text':
        codeText(this, field);
        return;
      case 'struct':
        codeStruct(this, field);
        return;
      case 'array':
        codeArray(this, field);
        return;
      case 'variant':
        codeVariant(this, field);
        return;
      case 'optional':
        codeOptional(this, field);
    }
  }
}
