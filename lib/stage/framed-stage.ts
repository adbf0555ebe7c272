/** The stage around a framer: bytes in, batches of what the framer's sink made of them out, in the same slab. */
import type { Duplex } from 'node:stream';
import type { ByteBatch } from './batch.ts';
import type { Framer, Header } from './framer.ts';
import type { Slab } from './slab.ts';
import { objectStage } from './stage.ts';

/**
 * ByteBatch in, Out out. `taken` gives away what the framer's sink collected since it was asked last; its slab passes
 * on to whoever gets the batch. `fed` is called behind each batch, when the stages behind have had it. Errors: those
 * of the framer, its format and its sink; MR_ERR_STAGE_TRUNCATED at an end within a message.
 */
export function framedStage<H extends Header, Out>(
  name: string,
  framer: Framer<H>,
  taken: (slab: Slab) => Out,
  fed?: () => void,
): Duplex {
  return objectStage<ByteBatch, Out>(name, {
    transform({ slab, start, end }, push) {
      let failed: unknown;
      try {
        framer.feed(slab.bytes, start, end);
      } catch (error) {
        failed = error;
      }
      // What came before the bytes that are wrong is still good.
      push(taken(slab));
      if (failed !== undefined) throw failed;
      fed?.();
    },
    flush: () => framer.end(),
  });
}
