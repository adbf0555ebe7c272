/**
 * READ. A small one is answered from one piece of memory, at once where its bytes lie in the page cache. A long one
 * is streamed piece by piece, as fast as the client takes them. With chunks, holes are told, not sent.
 */
import { limits } from '../../limits.ts';
import { commandFlags } from '../../wire/nbd/index.ts';
import type { CommandContext } from './context.ts';
import type { Room } from './pieces.ts';
import type { Request } from './request-reader.ts';

/** A run of the request: data, or a hole to be told. */
interface Run {
  offset: number;
  lengthBytes: number;
  hole: boolean;
}

/** Holes shorter than this are sent as zeroes: telling them costs as much. */
const leastHoleBytes = 4096;

/** Begins a READ; false: there is no memory for its data now. */
export function read(context: CommandContext, request: Request): boolean {
  const { codec, outbox } = context;
  if (request.length === 0) {
    codec.empty(outbox, request);
    return true;
  }
  const wholeBytes = codec.dataHeadBytes + request.length;
  if (isWhole(context, request) && wholeBytes <= context.pieces.roomBytes)
    return answer(context, request, wholeBytes, (room) => placeWhole(context, request, room));
  const runs = runsOf(context, request);
  const sizeBytes = runs.reduce(
    (sum, { hole, lengthBytes }) => sum + (hole ? codec.holeBytes : codec.dataHeadBytes + lengthBytes),
    0,
  );
  if (sizeBytes <= context.pieces.roomBytes)
    return answer(context, request, sizeBytes, (room) => place(context, request, runs, room));
  context.counters.bytesRead += request.length;
  if (codec.hasChunks) context.run(request, () => stream(context, request, runs));
  else context.runAlone(request, () => stream(context, request, runs));
  return true;
}

/** A run of data, and where in a slab its bytes go. */
type Placed = Run & { at: number };

/** Answers from one room of `sizeBytes`: `layOut` writes the headers and says where the data goes. */
function answer(
  context: CommandContext,
  request: Request,
  sizeBytes: number,
  layOut: (room: Room) => readonly Placed[],
): boolean {
  const { counters, image, outbox } = context;
  const room = context.pieces.take(sizeBytes);
  if (room === undefined) return false;
  counters.bytesRead += request.length;
  const { slab, start } = room;
  const placed = layOut(room);
  let left: readonly Placed[];
  try {
    left = placed.filter(
      ({ at, lengthBytes, offset }) => !image.readNow(slab.bytes, at, lengthBytes, offset),
    );
  } catch (error) {
    slab.release();
    context.failWith(request, error);
    return true;
  }
  if (left.length === 0) outbox.data(slab, start, start + sizeBytes);
  else
    context.run(request, async () => {
      try {
        for (const { at, lengthBytes, offset } of left) await image.read(slab.bytes, at, lengthBytes, offset);
      } catch (error) {
        slab.release();
        throw error;
      }
      outbox.data(slab, start, start + sizeBytes);
    });
  return true;
}

/** Whether it is answered with all of its bytes in one piece. */
function isWhole({ codec, image }: CommandContext, { flags, length, offset }: Request): boolean {
  if (!codec.hasChunks || (flags & commandFlags.df) !== 0) return true;
  return image.allocationMap.isData(offset, offset + length);
}

/** The request as runs of data and holes. */
function runsOf(context: CommandContext, request: Request): Run[] {
  const { length, offset } = request;
  if (isWhole(context, request)) return [{ offset, lengthBytes: length, hole: false }];
  const end = offset + length;
  const runs: Run[] = [];
  for (let at = offset; at < end; ) {
    const run = context.image.allocationMap.run(at, end);
    const lengthBytes = run.end - at;
    const hole = run.hole && lengthBytes >= leastHoleBytes;
    const last = runs.at(-1);
    if (last !== undefined && !last.hole && !hole) last.lengthBytes += lengthBytes;
    else runs.push({ offset: at, lengthBytes, hole });
    at = run.end;
  }
  return runs;
}

function placeWhole({ codec }: CommandContext, request: Request, { slab, start }: Room): Placed[] {
  const { length: lengthBytes, offset } = request;
  codec.dataHead(slab.bytes, start, request, offset, lengthBytes, true);
  return [{ at: start + codec.dataHeadBytes, offset, lengthBytes, hole: false }];
}

function place(
  { codec }: CommandContext,
  request: Request,
  runs: readonly Run[],
  { slab, start }: Room,
): Placed[] {
  const placed: Placed[] = [];
  let at = start;
  for (const [i, run] of runs.entries()) {
    const last = i === runs.length - 1;
    if (run.hole) {
      codec.hole(slab.bytes, at, request, run.offset, run.lengthBytes, last);
      at += codec.holeBytes;
      continue;
    }
    codec.dataHead(slab.bytes, at, request, run.offset, run.lengthBytes, last);
    at += codec.dataHeadBytes;
    placed.push({ ...run, at });
    at += run.lengthBytes;
  }
  return placed;
}

/** Whether the reply to a READ has one header and more data than one piece holds: nothing may come between then. */
export function isLong({ codec, pieces }: CommandContext, { command, length }: Request): boolean {
  return !codec.hasChunks && command?.name === 'read' && codec.dataHeadBytes + length > pieces.roomBytes;
}

/** Sends the runs piece by piece. */
async function stream(context: CommandContext, request: Request, runs: readonly Run[]): Promise<void> {
  const { codec, outbox } = context;
  let isBegun = false;
  try {
    const end = request.offset + request.length;
    for (const piece of cut(runs)) {
      const headBytes = codec.hasChunks || piece.offset === request.offset ? codec.dataHeadBytes : 0;
      const sizeBytes = piece.hole ? codec.holeBytes : headBytes + piece.lengthBytes;
      const room = await roomFor(context, sizeBytes);
      const last = piece.offset + piece.lengthBytes === end;
      try {
        await fillPiece(context, request, piece, room, headBytes, last);
      } catch (error) {
        room.slab.release();
        throw error;
      }
      outbox.data(room.slab, room.start, room.start + sizeBytes);
      outbox.flush();
      isBegun = true;
    }
  } catch (error) {
    // a simple reply promises all of its data with its header
    if (isBegun && !codec.hasChunks) context.abort(error as Error);
    throw error;
  }
}

async function fillPiece(
  { codec, image }: CommandContext,
  request: Request,
  { hole, offset, lengthBytes }: Run,
  { slab, start }: Room,
  headBytes: number,
  last: boolean,
): Promise<void> {
  if (hole) return codec.hole(slab.bytes, start, request, offset, lengthBytes, last);
  if (headBytes > 0) codec.dataHead(slab.bytes, start, request, offset, lengthBytes, last);
  const at = start + headBytes;
  if (!image.readNow(slab.bytes, at, lengthBytes, offset))
    await image.read(slab.bytes, at, lengthBytes, offset);
}

function* cut(runs: readonly Run[]): Generator<Run> {
  for (const { offset, lengthBytes, hole } of runs) {
    const most = hole ? lengthBytes : limits.nbdPieceBytes;
    for (let at = 0; at < lengthBytes; at += most)
      yield { offset: offset + at, lengthBytes: Math.min(most, lengthBytes - at), hole };
  }
}

async function roomFor({ pieces, outbox }: CommandContext, sizeBytes: number): Promise<Room> {
  for (;;) {
    const room = outbox.isFull ? undefined : pieces.take(sizeBytes);
    if (room !== undefined) return room;
    await outbox.whenRoom(pieces);
  }
}
