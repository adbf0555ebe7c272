import { MillraceError } from '../errors.ts';
import type { Struct } from '../schema/index.ts';

/** A decoded reply: every layout of a reply has some of these fields. */
export interface Reply {
  ret?: number;
  major?: number;
  minor?: number;
  handle?: bigint;
  sessionId?: bigint;
  outputPath?: string | undefined;
  exists?: boolean;
}

/**
 * Finds replies in bytes. They have no header: where one ends follows from the request that it answers, so those
 * are announced first, in order. Holds no more than one reply, whose length its layout bounds.
 */
export class ReplyReader {
  readonly #awaited: Array<{ layout: Struct<object>; take: (reply: Reply) => void }> = [];
  #held: Buffer = Buffer.alloc(0);

  /** A request was sent whose reply looks so. */
  expect(layout: Struct<object>, take: (reply: Reply) => void): void {
    this.#awaited.push({ layout, take });
  }

  /** Takes what came. Throws MR_ERR_WIRE_LONG for bytes that nobody asked for, MR_ERR_WIRE_* for bad replies. */
  push(bytes: Buffer): void {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    while (this.#held.length > 0) {
      const next = this.#awaited[0];
      if (next === undefined) {
        const got = this.#held.length;
        throw new MillraceError('MR_ERR_WIRE_LONG', { what: 'reply', expected: 0, got });
      }
      const reply = decodeIfWhole(next.layout, this.#held);
      if (reply === undefined) return;
      this.#held = this.#held.subarray(next.layout.sizeOf(reply));
      this.#awaited.shift();
      next.take(reply);
    }
  }
}

function decodeIfWhole(layout: Struct<object>, bytes: Buffer): Reply | undefined {
  try {
    return layout.decode(bytes);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR_ERR_WIRE_SHORT') return undefined;
    throw error;
  }
}
