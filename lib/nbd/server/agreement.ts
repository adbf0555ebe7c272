/** What a server and a client have agreed on when transmission begins. */
import type { Socket } from 'node:net';
import type { Export, ReplyStyle } from '../export.ts';
import type { FaceName } from './faces.ts';

export interface Agreement extends ReplyStyle {
  /** The socket to go on with: another one where TLS was agreed. */
  socket: Socket;
  served: Export;
  /** The export's size for this connection, whatever becomes of the image. */
  sizeBytes: number;
  /** Whose manners: see `faces.ts`. */
  face: FaceName;
  /** Ids of the metadata contexts that were selected; only `base:allocation` is there to select. */
  contexts: readonly number[];
  tls: boolean;
}

/** Says in log lines and status what was agreed. */
export function describe({ face, structured, extended, tls }: Agreement): string {
  const replies = extended ? ', extended headers' : structured ? ', structured replies' : '';
  return `${face}${replies}${tls ? ', TLS' : ''}`;
}
