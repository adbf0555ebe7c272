/** What option haggling is about: the offer, what was agreed so far, and how replies are written. */
import type { Socket } from 'node:net';
import { MillraceError, printable } from '../../errors.ts';
import { type OptionReply, optionReplies, optionReplyHeader } from '../../wire/nbd/index.ts';
import type { Agreement } from './agreement.ts';
import type { ExportTable } from './export-table.ts';
import type { ServerTls } from './tls.ts';

/** What the server offers to everybody. */
export interface Offer {
  exports: ExportTable;
  tls: ServerTls | undefined;
  /** Whether new options are refused because the server goes down. */
  isStopping(): boolean;
}

/** What a connection has agreed on so far; options change it. */
export interface Haggle {
  readonly offer: Offer;
  readonly peer: string;
  socket: Socket;
  tls: boolean;
  noZeroes: boolean;
  structured: boolean;
  extended: boolean;
  /** The last selection of metadata contexts, and for which export. */
  selected: { exportName: string; contexts: readonly number[] } | undefined;
}

/** What comes of an option: the next one, the end of the connection, or transmission. */
export type Outcome = 'next' | 'end' | Agreement;

/** The final reply to an option that does nothing more; `message` is for people. */
export function answer(haggle: Haggle, option: number, type: OptionReply, message = ''): 'next' {
  reply(haggle, option, type, Buffer.from(message));
  return 'next';
}

/** Writes one reply. */
export function reply({ socket }: Haggle, option: number, type: OptionReply, data: Buffer): void {
  const header = { option, type: optionReplies[type], dataSizeBytes: data.length };
  socket.write(Buffer.concat([optionReplyHeader.encode(header), data]));
}

/** An error that ends the connection. */
export function protocolError(peer: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_NBD_PROTOCOL', { peer, why: printable(why) });
}
