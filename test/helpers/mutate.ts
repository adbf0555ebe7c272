/** Valid conversations made invalid, the same way for each seed. */
import { random } from './bytes.ts';

/** Changes some of `bytes`: single bytes, lost, repeated or swapped pieces, an early end. */
export function mutate(bytes: Buffer, seed: number): Buffer {
  const next = random(seed);
  const below = (limit: number): number => (limit <= 0 ? 0 : next() % limit);
  let mutated = Buffer.from(bytes);
  for (let left = 1 + below(4); left > 0; left -= 1) {
    const at = below(mutated.length);
    const size = 1 + below(64);
    const piece = mutated.subarray(at, at + size);
    const [before, after] = [mutated.subarray(0, at), mutated.subarray(at + size)];
    const sins: ReadonlyArray<() => Buffer> = [
      () => withByte(mutated, at, (mutated[at] ?? 0) ^ (1 << below(8))),
      () => withByte(mutated, at, [0, 1, 0x7f, 0x80, 0xff][below(5)] as number),
      () => withByte(mutated, at, below(256)),
      () => Buffer.concat([before, after]),
      () => Buffer.concat([before, piece, piece, after]),
      () => Buffer.concat([before, after.subarray(0, size), piece, after.subarray(size)]),
      () => before,
    ];
    mutated = Buffer.from((sins[below(sins.length)] as () => Buffer)());
  }
  return mutated;
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  if (at < bytes.length) bytes[at] = value;
  return bytes;
}
