/** A stage through which everything passes until it is shut: then what is behind it ends in good order. */
import type { Duplex } from 'node:stream';
import { releaseBatch } from './batch.ts';
import { objectStage } from './stage.ts';

/** A gate and the way to shut it; more calls do nothing. */
export interface Gate {
  stage: Duplex;
  /** The stages behind see the end of their input; what still comes from before is released. */
  shut(): void;
}

/** Makes an open gate for batches of any kind. */
export function gate(): Gate {
  let isShut = false;
  const stage = objectStage<{ slab: undefined }, { slab: undefined }>('gate', {
    transform(batch, push) {
      if (isShut) releaseBatch(batch);
      else push(batch);
    },
  });
  const shut = (): void => {
    if (isShut || stage.destroyed || stage.readableEnded) return;
    isShut = true;
    stage.push(null);
  };
  return { stage, shut };
}
