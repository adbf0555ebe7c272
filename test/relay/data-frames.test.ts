import test from 'ava';
import { dataFrameStage } from '../../lib/relay/data-frames.ts';
import { type ByteBatch, type FrameBatch, releaseBatch } from '../../lib/stage/batch.ts';
import { looseSlab, type Slab } from '../../lib/stage/slab.ts';
import { join, u32, u64 } from '../helpers/bytes.ts';
import { chop } from '../helpers/chop.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { type Batch, bytes, pooled } from '../helpers/pipes.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';

const frame = (stream: number, netSeqNum: number, body: string, paddingBytes = 0): Buffer =>
  join(u64(0), u64(stream), u64(netSeqNum), u32(body.length), u32(paddingBytes), Buffer.from(body));
const allowed = (): void => {};
/** A frame with a body of 32 bytes fills a slab. */
const one = (slab: Slab, at: number): ByteBatch => {
  frame(1, at, 'x'.repeat(32)).copy(slab.bytes);
  return bytes(slab);
};

test('data frames: end, error and abort leave no slab lent out', (t) =>
  outcomes(t, { name: 'data frames', stage: () => dataFrameStage(allowed), batches: () => pooled(6, one) }));

test('data frames: a stalled sink holds the source back', (t) =>
  stall(t, {
    stage: dataFrameStage(allowed),
    batch: (at) => pooled(1, (slab) => one(slab, at)).batches[0] as Batch,
    inFlight: inFlightOf(2),
  }));

test('data frames: the same packets in whatever pieces they arrive, each asked about once', (t) => {
  const wire = join(frame(1, 0, 'hello', 3), frame(2, 7, ''), frame(1, 1, 'world!'));
  const expected = ['1:0:hello+3', '2:7:+0', '1:1:world!+0'];
  t.deepEqual(packetsOf([wire]), { packets: expected, asked: [1, 2, 1] });
  t.deepEqual(packetsOf([wire.subarray(0, 34), wire.subarray(34)]).asked, [1, 2, 1]);
  const edges = [8, 16, 24, 28, 32, 37, 69, 101];
  chop(t, [{ name: 'three packets', bytes: wire, edges }], (pieces) => packetsOf(pieces).packets);
});

function packetsOf(pieces: Buffer[]): { packets: string[]; asked: number[] } {
  const packets: string[] = [];
  const asked: number[] = [];
  let body = '';
  const stage = dataFrameStage((stream) => asked.push(stream));
  stage.on('data', (batch: FrameBatch) => {
    for (const part of batch.frames) {
      if (part.kind !== 'data') continue;
      const { stream, netSeqNum, offsetBytes, paddingSizeBytes, start, end } = part;
      body = `${offsetBytes === 0 ? '' : body}${batch.slab?.bytes.toString('latin1', start, end)}`;
      if (part.last) packets.push(`${stream}:${netSeqNum}:${body}+${paddingSizeBytes}`);
    }
    releaseBatch(batch);
  });
  for (const piece of pieces) stage.write({ slab: looseSlab(piece), start: 0, end: piece.length });
  return { packets, asked };
}
