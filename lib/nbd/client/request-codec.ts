/** Headers of requests, as agreed. */
import {
  type CommandName,
  commandFlags,
  commandRows,
  extendedRequestHeader,
  requestHeader,
  requestMagic,
} from '../../wire/nbd/index.ts';
import type { ReplyStyle } from '../export.ts';

/** What stands in a header; offset and length in bytes. */
export interface RequestFields {
  name: CommandName;
  offset: number;
  length: number;
  cookie: bigint;
  flags: number;
}

/** The bytes in front of a request's data, in memory of their own. */
export function encodeRequest({ extended }: Pick<ReplyStyle, 'extended'>, fields: RequestFields): Buffer {
  const { cookie, flags, length, name } = fields;
  const type = commandRows[name].code;
  const offset = BigInt(fields.offset);
  if (!extended) return requestHeader.encode({ magic: requestMagic, flags, type, cookie, offset, length });
  const carries = name === 'write' ? commandFlags.payloadLength : 0;
  const header = { flags: flags | carries, type, cookie, offset, length: BigInt(length) };
  return extendedRequestHeader.encode(header);
}
