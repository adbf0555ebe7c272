import { neededBytes, type Struct } from '../../schema/index.ts';
import { layoutAt } from '../versions.ts';
import {
  type ViewerCommandName,
  type ViewerReplyOf,
  type ViewerRequestOf,
  viewerCommandRows,
} from './commands.ts';
import { viewerHeader } from './headers.ts';

/** The layout of a request at a negotiated minor. */
export function viewerRequestLayout<C extends ViewerCommandName>(
  command: C,
  minor: number,
): Struct<ViewerRequestOf<C>> {
  return layoutAt(viewerCommandRows[command].request, minor) as Struct<ViewerRequestOf<C>>;
}

/** The layout of a reply, or of its head where bytes follow, at a negotiated minor. */
export function viewerReplyLayout<C extends ViewerCommandName>(
  command: C,
  minor: number,
): Struct<ViewerReplyOf<C>> {
  return layoutAt(viewerCommandRows[command].reply, minor) as Struct<ViewerReplyOf<C>>;
}

/** Header and payload of a request in one piece, in memory of its own. Throws as `Struct.encodeInto`. */
export function encodeViewerRequest<C extends ViewerCommandName>(
  command: C,
  minor: number,
  request: ViewerRequestOf<C>,
): Buffer {
  const layout = viewerRequestLayout(command, minor);
  const sizeBytes = layout.sizeOf(request);
  const bytes = Buffer.allocUnsafe(headerBytes + sizeBytes);
  const { code } = viewerCommandRows[command];
  const header = { dataSizeBytes: BigInt(sizeBytes), command: code, commandVersion: 0 };
  layout.encodeInto(request, bytes, viewerHeader.encodeInto(header, bytes, 0));
  return bytes;
}

/**
 * How long the reply at `start` is, as far as `bytes[start, end)` tells: it is all there once that is not more than
 * `end - start`. Of a reply that bytes follow, the head alone: its `lengthBytes` says how many. Throws
 * `MR_ERR_WIRE_LONG` for more sessions or streams, or longer names, than are allowed.
 */
export function viewerReplyBytes(
  command: ViewerCommandName,
  minor: number,
  bytes: Buffer,
  start: number,
  end: number,
): number {
  return neededBytes(viewerReplyLayout(command, minor), bytes, start, end);
}

const headerBytes = viewerHeader.minSizeBytes;
