import test from 'ava';
import { type Format, Framer, type Header } from '../../lib/stage/framer.ts';
import { chop } from '../helpers/chop.ts';

interface Toy extends Header {
  tag: number;
}

/** One byte of tag, one of body length, one of collected length: three bytes of header. */
const toy: Format<Toy> = {
  what: 'toy',
  headerBytes: 3,
  header: (bytes, at) => ({
    tag: bytes.readUInt8(at),
    bodyBytes: bytes.readUInt8(at + 1),
    collectBytes: bytes.readUInt8(at + 2),
  }),
};

function run(pieces: Buffer[]): { messages: string[]; framer: Framer<Toy> } {
  const messages: string[] = [];
  let rest = '';
  const framer = new Framer(toy, {
    begin({ tag, bodyBytes, collectBytes }, bytes, start, end) {
      rest = `${tag}:${bytes.toString('latin1', start, end)}|`;
      if (bodyBytes === collectBytes) messages.push(rest);
    },
    part(_header, bytes, start, end, last) {
      rest += bytes.toString('latin1', start, end);
      if (last) messages.push(rest);
    },
  });
  for (const piece of pieces) framer.feed(piece, 0, piece.length);
  return { messages, framer };
}

const stream = Buffer.from(
  '\x01\x00\x00\x02\x05\x05hello\x03\x06\x02abcdef\x04\x03\x00xyz\x05\x00\x00',
  'latin1',
);
const expected = ['1:|', '2:hello|', '3:ab|cdef', '4:|xyz', '5:|'];

test('framer: messages glued in one read come out one by one', (t) => {
  t.deepEqual(run([stream]).messages, expected);
});

test('framer: whole, byte by byte, split anywhere or twice in a row: the same messages', (t) => {
  const edges = Array.from({ length: stream.length + 1 }, (_, at) => at);
  chop(t, [{ name: 'toy', bytes: stream, edges }], (pieces) => run(pieces).messages);
});

test('framer: an end between messages is clean, an end inside one is truncation', (t) => {
  const edges = new Set([0, 3, 11, 20, 26, 29]);
  for (let at = 0; at <= stream.length; at += 1) {
    const { framer } = run([stream.subarray(0, at)]);
    if (edges.has(at)) t.notThrows(() => framer.end(), `end at ${at}`);
    else t.throws(() => framer.end(), { code: 'MR_ERR_STAGE_TRUNCATED' }, `end at ${at}`);
  }
});

test('framer: memory for a collected body grows with what came, not with what was announced', (t) => {
  const huge: Format<Header> = {
    what: 'huge',
    headerBytes: 1,
    header: () => ({ bodyBytes: 2 ** 40, collectBytes: 2 ** 40 }),
  };
  const framer = new Framer(huge, { begin: () => t.fail(), part: () => t.fail() });
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 1000; i += 1) framer.feed(Buffer.from([0]), 0, 1);
  t.true(process.memoryUsage().arrayBuffers - before < 1_000_000);
});
