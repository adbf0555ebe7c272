/** Whether a request may be carried out. Source: nbd-migration, A.4 and B.11, "order of judgement". */
import { limits } from '../../limits.ts';
import { commandFlags, type NbdCommand, type NbdErrorName } from '../../wire/nbd/index.ts';
import type { Face } from './faces.ts';
import type { Request } from './request-reader.ts';

/** What a request is held against. */
export interface Bounds {
  face: Face;
  sizeBytes: number;
  readOnly: boolean;
  extended: boolean;
  structured: boolean;
}

/** `go`, an error to answer with while the connection stays, or `close`. */
export type Verdict = { go: NbdCommand } | { error: NbdErrorName; why: string } | { close: string };

/** Judges one request whose magic was right. No sum can wrap: offsets and lengths are compared, never added. */
export function judge(request: Request, bounds: Bounds): Verdict {
  const { face } = bounds;
  if (isAbsurd(request, bounds)) return { close: `${request.payloadBytes} bytes of data` };
  if (face.boundsEverything && isBeyond(request, bounds))
    return { error: face.beyondEnd(request.command?.name ?? 'read'), why: beyond(request, bounds) };
  const { command, offset, length } = request;
  if (command === undefined || !face.commands.has(command.name))
    return { error: 'EINVAL', why: 'unknown command' };
  if (face.checksFlags) {
    const wrong = wrongFlags(request, command, bounds);
    if (wrong !== undefined) return { error: 'EINVAL', why: wrong };
  }
  if (command.writes && bounds.readOnly) return { error: 'EPERM', why: 'the export is read-only' };
  if (!command.ranged) {
    if (face.checksEmptyRange && command.name !== 'disconnect' && (offset > 0 || length > 0))
      return { error: 'EINVAL', why: `${command.name} with a range` };
    return { go: command };
  }
  if (isBeyond(request, bounds)) return { error: face.beyondEnd(command.name), why: beyond(request, bounds) };
  const moves = command.name === 'read' || command.name === 'write';
  if (moves && length > face.maximumPayloadBytes)
    return { error: 'EINVAL', why: `${length} bytes, at most ${face.maximumPayloadBytes} are allowed` };
  if (command.name === 'blockStatus' && length === 0)
    return { error: 'EINVAL', why: 'the status of no bytes' };
  return { go: command };
}

/** Data that is not worth reading only to refuse it. */
function isAbsurd({ payloadBytes, command }: Request, { face, extended }: Bounds): boolean {
  const factor = command?.name === 'write' ? limits.nbdPayloadFactor : 1;
  return payloadBytes > face.maximumPayloadBytes * (extended || face.checksFlags ? factor : 1);
}

function wrongFlags(
  { flags, payloadBytes }: Request,
  { name, flags: allowed }: NbdCommand,
  { extended, structured }: Bounds,
): string | undefined {
  const { payloadLength, df } = commandFlags;
  const wanted = extended && name === 'write' ? payloadLength : 0;
  if ((flags & payloadLength) !== wanted)
    return `${name} with${payloadBytes > 0 ? ' data that it does not take' : 'out the length of its data'}`;
  const unknown = flags & ~allowed & ~payloadLength;
  if (unknown !== 0) return `${name} with flags 0x${unknown.toString(16)}`;
  return (flags & df) !== 0 && !structured ? 'DF without structured replies' : undefined;
}

function isBeyond({ offset, length }: Request, { sizeBytes }: Bounds): boolean {
  return offset > sizeBytes || length > sizeBytes - offset;
}

function beyond({ offset, length }: Request, { sizeBytes }: Bounds): string {
  return `${length} bytes at ${offset} of a disk of ${sizeBytes}`;
}
