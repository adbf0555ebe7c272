import { struct, u32 } from '../../schema/index.ts';

/** The reply of most commands: a return code alone. */
export const genericReply = struct('genericReply', [['ret', u32, 'return code']]);
