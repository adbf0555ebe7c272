import { createStatus } from '../../../wire/live/index.ts';
import type { ViewerHandler } from './handler.ts';

/** Makes the viewer session. Asked again it stays as it is: what is attached stays attached. */
export const createSession: ViewerHandler<'createSession'> = {
  handle(context) {
    context.attached ??= new Map();
    return { reply: { status: createStatus.ok } };
  },
};
