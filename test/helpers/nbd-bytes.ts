/** NBD as bytes, built by hand from the protocol's tables; nothing here knows our own codec. */
import { u32, u64 } from './bytes.ts';
import { hex } from './hex.ts';

export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};

/** Client's flags: fixed newstyle, no zeroes. */
export const clientFlags = hex('00000003');
export const greeting = hex('4e42444d41474943 49484156454f5054 0003');

export const option = (code: number, data: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([hex('49484156454f5054'), u32(code), u32(data.length), data]);

export const optionReply = (code: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([hex('0003e889045565a9'), u32(code), u32(type), u32(data.length), data]);

/** Data of INFO and GO. */
export const exportQuery = (name: string, ...infos: number[]): Buffer =>
  Buffer.concat([u32(Buffer.byteLength(name)), Buffer.from(name), u16(infos.length), ...infos.map(u16)]);

/** Data of the meta context options. */
export const contextQuery = (name: string, ...queries: string[]): Buffer =>
  Buffer.concat([
    u32(Buffer.byteLength(name)),
    Buffer.from(name),
    u32(queries.length),
    ...queries.flatMap((query) => [u32(Buffer.byteLength(query)), Buffer.from(query)]),
  ]);

export const acknowledged = 1;
export const errors = {
  unsup: 0x80000001,
  invalid: 0x80000003,
  tlsReqd: 0x80000005,
  unknown: 0x80000006,
  tooBig: 0x80000009,
} as const;

export const commands = {
  read: 0,
  write: 1,
  disc: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  zero: 6,
  status: 7,
} as const;

export interface RequestFields {
  type: number;
  flags?: number;
  cookie?: number;
  offset?: number | bigint;
  length?: number;
  magic?: number;
}

/** A request, without its data. */
export const request = ({
  type,
  flags = 0,
  cookie = 1,
  offset = 0,
  length = 0,
  magic = 0x25609513,
}: RequestFields): Buffer =>
  Buffer.concat([u32(magic), u16(flags), u16(type), u64(cookie), u64(offset), u32(length)]);

/** A simple reply, without data. */
export const simple = (cookie: number, error = 0): Buffer =>
  Buffer.concat([hex('67446698'), u32(error), u64(cookie)]);

/** A chunk of a structured reply. */
export const chunk = (type: number, cookie: number, payload: Buffer, done = true): Buffer =>
  Buffer.concat([hex('668e33ef'), u16(done ? 1 : 0), u16(type), u64(cookie), u32(payload.length), payload]);
