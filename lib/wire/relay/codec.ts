import { relayRet } from '../../errors.ts';
import type { Struct } from '../../schema/index.ts';
import { layoutAt } from '../versions.ts';
import { type CommandName, commandRows, type ReplyOf, type RequestOf } from './commands.ts';
import { requestHeader } from './headers.ts';
import { genericReply } from './reply.ts';

/**
 * The layout of a request at a negotiated minor. `payloadBytes`: size of the payload, by which the three forms of
 * ROTATE_STREAMS differ. Undefined: no form has that size. A payload that is longer than the layout is accepted
 * and its tail ignored, as relays since 2.11 do, except where the layout is exact.
 */
export function requestLayout<C extends CommandName>(
  command: C,
  minor: number,
  payloadBytes: number,
): Struct<RequestOf<C>> | undefined {
  return layoutAt(commandRows[command].request, minor, payloadBytes) as Struct<RequestOf<C>> | undefined;
}

/** The layout of a command's reply at a negotiated minor. Undefined: the command has no reply. */
export function replyLayout<C extends CommandName>(
  command: C,
  minor: number,
): Struct<ReplyOf<C>> | undefined {
  return layoutAt(commandRows[command].reply, minor) as Struct<ReplyOf<C>> | undefined;
}

/** Replies of a return code alone, which nearly all replies are. Shared, so nobody may write into them. */
const prebuilt: ReadonlyMap<number, Buffer> = new Map(
  [0, 1, ...Object.values(relayRet)].map((ret) => [ret, genericReply.encode({ ret })]),
);

/** The reply that is a return code alone. The buffer may be shared: do not write into it. */
export function encodeReturn(ret: number): Buffer {
  return prebuilt.get(ret) ?? genericReply.encode({ ret });
}

/**
 * The bytes of a reply at a negotiated minor; they may be shared, so do not write into them. Undefined: the
 * command has no reply. Throws `MR_ERR_WIRE_LONG`, `MR_ERR_WIRE_STRING`, `MR_ERR_WIRE_RANGE` for values that do
 * not fit.
 */
export function encodeReply<C extends CommandName>(
  command: C,
  minor: number,
  reply: ReplyOf<C>,
): Buffer | undefined {
  const layout = layoutAt(commandRows[command].reply, minor);
  if (layout === genericReply) return encodeReturn((reply as unknown as { ret: number }).ret);
  return layout?.encode(reply);
}

/**
 * Header and payload of a request at a negotiated minor, in memory of their own. `textBytes`: bytes that the
 * caller sends behind it (metadata text), counted in the header. ROTATE_STREAMS is made in its 64-bit form.
 * Throws as `Struct.encodeInto`.
 */
export function encodeRequest<C extends CommandName>(
  command: C,
  minor: number,
  request: RequestOf<C>,
  textBytes = 0,
): Buffer {
  const { code, request: versions } = commandRows[command];
  const layout = layoutAt(versions, minor) as Struct<object>;
  const sizeBytes = layout.sizeOf(request);
  const bytes = Buffer.allocUnsafe(headerBytes + sizeBytes);
  const header = {
    circuitId: 0n,
    dataSizeBytes: BigInt(sizeBytes + textBytes),
    command: code,
    commandVersion: 0,
  };
  layout.encodeInto(request, bytes, requestHeader.encodeInto(header, bytes, 0));
  return bytes;
}

const headerBytes = requestHeader.minSizeBytes;
