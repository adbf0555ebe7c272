/** Bytes written by hand: big endian, as the relay protocol has them. Nothing here knows the relay's own codec. */

export const u8 = (value: number): Buffer => Buffer.from([value]);

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: bigint | number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

/** Text with its NUL. */
export const text = (value: string): Buffer => Buffer.from(`${value}\0`);

/** Text in a field of `sizeBytes`, the rest zero. */
export function field(value: string, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  bytes.write(value);
  return bytes;
}

export const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

/** 2^64 - 1: "none" in the relay protocol. */
export const none = 0xffff_ffff_ffff_ffffn;

/** Bytes that can be told apart: `seed` moves the pattern. */
export function pattern(sizeBytes: number, seed = 0): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  for (let i = 0; i < sizeBytes; i += 1) bytes[i] = (i * 31 + (i >> 8) * 7 + seed * 101) & 0xff;
  return bytes;
}

/** `bytes` cut into pieces of at most `sizeBytes`. */
export function pieces(bytes: Buffer, sizeBytes: number): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += sizeBytes) cut.push(bytes.subarray(at, at + sizeBytes));
  return cut;
}

/** Pseudo-random numbers below 2^32, the same for each seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** Bytes without any meaning, the same for each seed. */
export function noise(sizeBytes: number, seed: number): Buffer {
  const next = random(seed);
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, () => next() & 0xff));
}
