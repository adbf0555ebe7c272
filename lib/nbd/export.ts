/** What a server offers under a name. */
import type { Image } from '../disk/image.ts';
import { transmissionFlags } from '../wire/nbd/index.ts';

/** One export: an image under a name. The image is opened and closed by who made the export. */
export interface Export {
  /** Empty: found by clients that name none. */
  name: string;
  image: Image;
  /** For people. */
  description?: string;
  readOnly?: boolean;
}

/** What was agreed about replies. */
export interface ReplyStyle {
  structured: boolean;
  /** 64-bit headers; `structured` is set then too. */
  extended: boolean;
}

const {
  hasFlags,
  readOnly,
  sendFlush,
  sendFua,
  sendTrim,
  sendWriteZeroes,
  sendDf,
  canMultiConn,
  sendCache,
  sendFastZero,
} = transmissionFlags;

/** Whether nobody may change it. */
export function isReadOnly({ image, readOnly: asked = false }: Export): boolean {
  return asked || image.readOnly;
}

/**
 * Transmission flags of an export in newstyle. All connections share one descriptor, so a flush on one of them covers
 * all (CAN_MULTI_CONN). Source: nbd-migration, B.6, B.11.
 */
export function flagsOf(served: Export, { structured }: ReplyStyle): number {
  const always = hasFlags | sendFlush | sendFua | canMultiConn | sendCache;
  const access = isReadOnly(served) ? readOnly : sendTrim | sendWriteZeroes | sendFastZero;
  return always | access | (structured ? sendDf : 0);
}

/** The same in oldstyle, which is flexnbd's. Source: nbd-migration, A.1. */
export function oldstyleFlagsOf(served: Export): number {
  return hasFlags | sendFlush | sendFua | (isReadOnly(served) ? readOnly : 0);
}
