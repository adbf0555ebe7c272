import test, { type ExecutionContext } from 'ava';
import { packetReaderOf } from '../../lib/disk/packet-reader-of.ts';
import { recover } from '../../lib/disk/recover.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { chunkIn, died } from '../helpers/dead-journal.ts';
import { type Copy, relayTrace } from './verify/copy.ts';

const index = 'index/small_0.idx';
const [headerBytes, recordBytes, packetBytes] = [16, 72, 4096];

/** A relay dies while it writes this trace, `metadataBytes` of whose metadata were whole; the next one begins. */
function restart({ directory }: Copy, metadataBytes: number) {
  died(directory, (journal) => {
    const chunk = chunkIn(journal);
    journal.fileOpened('data', chunk, 'small_0', index);
    journal.fileCommitted(journal.fileOpened('metadata', chunk, 'metadata'), metadataBytes);
  });
  return recover(directory, openRangeLocks(), packetReaderOf);
}

test('records that were lost with the relay are those that it would have written', (t) => {
  for (const kept of [0, 1, 2]) {
    const copy = relayTrace(t);
    const before = { index: copy.read(index), data: copy.read('small_0') };
    // half a record, and the beginning of another packet
    copy.edit(index, (bytes) => bytes.subarray(0, headerBytes + kept * recordBytes + 30));
    copy.write('small_0', Buffer.concat([before.data, before.data.subarray(0, 1000)]));
    const { cuts } = restart(copy, copy.read('metadata').length);
    t.deepEqual(copy.read(index), before.index);
    t.deepEqual(copy.read('small_0'), before.data);
    t.is(cuts.find(({ path }) => path === index)?.added, 3 - kept);
  }
});

const cases: [string, (t: ExecutionContext, copy: Copy) => number][] = [
  ['no metadata is whole', () => 0],
  [
    'the packet is of another trace',
    (_, copy) => {
      copy.edit('small_0', (bytes) => bytes.fill(0xff, 2 * packetBytes + 4, 2 * packetBytes + 20));
      return copy.read('metadata').length;
    },
  ],
  [
    'the packet is not there to its end',
    (_, copy) => {
      copy.edit('small_0', (bytes) => bytes.subarray(0, 3 * packetBytes - 1));
      return copy.read('metadata').length;
    },
  ],
];

for (const [why, damage] of cases)
  test(`a packet without its record is cut where ${why}`, (t) => {
    const copy = relayTrace(t);
    const before = { index: copy.read(index), data: copy.read('small_0') };
    copy.edit(index, (bytes) => bytes.subarray(0, headerBytes + 2 * recordBytes));
    restart(copy, damage(t, copy));
    t.deepEqual(copy.read(index), before.index.subarray(0, headerBytes + 2 * recordBytes));
    t.deepEqual(copy.read('small_0'), before.data.subarray(0, 2 * packetBytes));
  });
