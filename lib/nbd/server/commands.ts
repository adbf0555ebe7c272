/** What each command does, but for the data of WRITE: one function a row of the table of commands. */
import { limits } from '../../limits.ts';
import { allocationStatus, type CommandName, commandFlags } from '../../wire/nbd/index.ts';
import type { CommandContext } from './context.ts';
import { read } from './read.ts';
import type { StatusExtent } from './reply-codec.ts';
import type { Request } from './request-reader.ts';

/** Begins a command that may be carried out; false: not now, for want of memory, and it is to be tried again. */
export type Command = (context: CommandContext, request: Request) => boolean;

const has = ({ flags }: Request, flag: keyof typeof commandFlags): boolean =>
  (flags & commandFlags[flag]) !== 0;

/** Commands that are answered. WRITE takes its data first, see `write.ts`; DISC has no answer. */
export const commands: Readonly<Record<Exclude<CommandName, 'write' | 'disconnect'>, Command>> = {
  read,

  flush: later(({ image }) => image.flush()),

  trim: later(async (context, request) => {
    await context.image.trim(request.offset, request.length);
    await persist(context, request);
  }),

  cache(context, request) {
    // a hint: what is read ahead is nobody's to wait for
    context.image.readAhead(request.offset, request.length);
    context.codec.done(context.outbox, request);
    return true;
  },

  writeZeroes: later(async (context, request) => {
    const how = { noHole: has(request, 'noHole'), fast: has(request, 'fastZero') };
    await context.image.zero(request.offset, request.length, how);
    context.counters.bytesWritten += request.length;
    await persist(context, request);
  }),

  blockStatus(context, request) {
    const [contextId] = context.contexts;
    if (contextId === undefined) context.fail(request, 'EINVAL', 'no metadata context is selected');
    else
      context.run(request, async () => {
        context.codec.status(context.outbox, request, contextId, await statusOf(context, request));
      });
    return true;
  },
};

function later(work: (context: CommandContext, request: Request) => Promise<void>): Command {
  return (context, request) => {
    context.run(request, async () => {
      await work(context, request);
      context.codec.done(context.outbox, request);
    });
    return true;
  };
}

async function persist({ durable, image }: CommandContext, request: Request): Promise<void> {
  if (durable || has(request, 'fua')) await image.flush();
}

async function statusOf({ codec, image }: CommandContext, request: Request): Promise<StatusExtent[]> {
  const most = has(request, 'reqOne') ? 1 : limits.nbdExtents;
  const length = codec.isExtended ? request.length : Math.min(request.length, 0xffff_fe00);
  const extents = await image.extents(request.offset, length, most);
  const { hole, zero } = allocationStatus;
  return extents.map((extent) => ({
    lengthBytes: extent.lengthBytes,
    status: extent.hole ? hole | zero : 0,
  }));
}
