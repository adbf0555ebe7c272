import { relayRet } from '../../errors.ts';
import type { CommandContext, Handler } from './handler.ts';

/** A command that no producer sends and every relay answers. */
export const startData: Handler<'startData', CommandContext> = {
  handle: () => ({ ret: relayRet.ok }),
};
