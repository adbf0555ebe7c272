import test from 'ava';
import { type ReplyHead, ReplyReader, type ReplySink } from '../../../lib/nbd/client/reply-reader.ts';
import { join, noise, u32, u64 } from '../../helpers/bytes.ts';
import { chop } from '../../helpers/chop.ts';
import { codeOf, hex } from '../../helpers/hex.ts';
import { chunk, simple, u16 } from '../../helpers/nbd-bytes.ts';

const data = noise(300, 1);

/** What a reader makes of pieces, data joined. READs have the cookies from 7 on. */
function events(style: 'simple' | 'structured' | 'extended', pieces: Buffer[]): unknown[] {
  const seen: unknown[] = [];
  let parts: Buffer[] = [];
  let from: number | undefined;
  const sink: ReplySink = {
    dataBytes: (cookie) => (cookie >= 7n ? data.length : 0),
    reply: (head, payload) => seen.push(['reply', named(head), payload.toString('hex')]),
    data(_, offset, bytes) {
      if (parts.length === 0) from = offset;
      parts.push(Buffer.from(bytes));
    },
    dataEnd(head) {
      seen.push(['data', named(head), from, Buffer.concat(parts).toString('hex')]);
      parts = [];
    },
  };
  const reader = new ReplyReader(
    { structured: style !== 'simple', extended: style === 'extended' },
    'peer',
    sink,
  );
  for (const piece of pieces) reader.feed(piece, 0, piece.length);
  if (!reader.isBetween) seen.push('in the middle');
  return seen;
}

const named = ({ cookie, chunkType, error, isLast }: ReplyHead): string =>
  `${cookie} ${chunkType ?? 'simple'} ${error}${isLast ? ' last' : ''}`;

const extendedChunk = (type: number, payload: Buffer): Buffer =>
  join(hex('6e8a278c'), u16(1), u16(type), u64(7), u64(512), u64(payload.length), payload);

test('replies are the same in whatever pieces they come', (t) => {
  chop(
    t,
    [
      { name: 'simple', bytes: simple(1), edges: [4, 8] },
      { name: 'simple with data', bytes: join(simple(7), data), edges: [4, 16, 17, 200] },
      { name: 'simple error', bytes: simple(7, 5), edges: [4, 8] },
    ],
    (pieces) => events('simple', pieces),
  );
  chop(
    t,
    [
      { name: 'none', bytes: chunk(0, 1, Buffer.alloc(0)), edges: [4, 16] },
      { name: 'data', bytes: chunk(1, 7, join(u64(512), data)), edges: [4, 20, 28, 29] },
      { name: 'hole', bytes: chunk(2, 7, join(u64(512), u32(4096))), edges: [20, 28] },
      { name: 'extents', bytes: chunk(5, 3, join(u32(1), u32(512), u32(3))), edges: [20, 24] },
      {
        name: 'error',
        bytes: chunk(0x8001, 3, join(u32(5), u16(2), Buffer.from('no'))),
        edges: [20, 24, 26],
      },
      { name: 'a simple one among them', bytes: simple(2), edges: [4] },
    ],
    (pieces) => events('structured', pieces),
  );
  chop(
    t,
    [
      { name: 'extended data', bytes: extendedChunk(1, join(u64(512), data)), edges: [4, 16, 32, 40] },
      { name: 'extended none', bytes: extendedChunk(0, Buffer.alloc(0)), edges: [4, 31] },
    ],
    (pieces) => events('extended', pieces),
  );
});

test('bytes that are no reply of this style are refused as soon as they are known', (t) => {
  for (const [style, bytes] of [
    ['simple', chunk(0, 1, Buffer.alloc(0))],
    ['structured', extendedChunk(0, Buffer.alloc(0))],
    ['extended', simple(1)],
    ['structured', hex('12560953')],
    ['structured', chunk(1, 7, u64(0))],
    ['structured', join(chunk(5, 7, Buffer.alloc(0)).subarray(0, 16), u32(0xffffffff))],
  ] as const)
    t.is(
      codeOf(() => events(style, [bytes])),
      'MR_ERR_NBD_PROTOCOL',
      `${style} ${bytes.toString('hex')}`,
    );
});
