import test from 'ava';
import fc from 'fast-check';
import { Arrivals, type Fragment, Reassembly } from '../../../lib/relay/udp/reassembly.ts';
import { pattern, pieces } from '../../helpers/bytes.ts';

const fragmentBytes = 100;

function fragments(netSeqNum: bigint, packet: Buffer, streamId = 1n): Fragment[] {
  const cut = packet.length === 0 ? [packet] : pieces(packet, fragmentBytes);
  return cut.map((bytes, fragment) => ({
    streamId,
    netSeqNum,
    dataSizeBytes: packet.length,
    paddingSizeBytes: 3,
    fragment,
    offsetBytes: fragment * fragmentBytes,
    bytes,
  }));
}

/** A reassembly, and what came out of it. */
function reassembly(mostBytes = 1e9) {
  const out: string[] = [];
  const made: Reassembly = new Reassembly(
    {
      packet: ({ netSeqNum, bytes, paddingSizeBytes }) =>
        out.push(`${netSeqNum} ${bytes.equals(packetOf(netSeqNum)) ? 'good' : 'bad'} ${paddingSizeBytes}`),
      lost: (_, netSeqNum) => out.push(`${netSeqNum} lost`),
    },
    (bytes) => made.heldBytes + bytes <= mostBytes,
  );
  return { made, out };
}

const packetOf = (netSeqNum: bigint): Buffer =>
  pattern(Number((BigInt.asUintN(64, netSeqNum) * 37n) % 450n), Number(netSeqNum & 0xffn));

test('reassembly: packets leave in the order of their numbers, once they are whole', (t) => {
  const { made, out } = reassembly();
  made.begin(1n, 5n);
  const all = [8n, 7n, 6n, 5n].flatMap((n) => fragments(n, packetOf(n))).toReversed();
  for (const fragment of all) made.take(fragment);
  t.deepEqual(out, ['5 good 3', '6 good 3', '7 good 3', '8 good 3']);
  t.is(made.heldBytes, 0);
});

test('reassembly: nothing leaves before the first number is known, and numbers go on from 2^64 - 1 to 0', (t) => {
  const { made, out } = reassembly();
  const last = 2n ** 64n - 1n;
  for (const n of [0n, last]) for (const fragment of fragments(n, packetOf(n))) made.take(fragment);
  t.deepEqual(out, []);
  made.begin(1n, last);
  t.deepEqual(out, [`${last} good 3`, '0 good 3']);
});

test('reassembly: whatever is lost, mixed and repeated, each number comes once, in order', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.record({ drop: fc.boolean(), twice: fc.boolean(), place: fc.nat() }), {
        minLength: 60,
        maxLength: 60,
      }),
      (count, fates) => {
        const { made, out } = reassembly();
        const numbers = Array.from({ length: count }, (_, n) => BigInt(n));
        const sent = numbers.flatMap((n) => fragments(n, packetOf(n)));
        const dropped = new Set<bigint>();
        const link = sent.flatMap((fragment, at) => {
          const fate = fates[at % fates.length] as { drop: boolean; twice: boolean; place: number };
          if (fate.drop && at % 3 === 0) {
            dropped.add(fragment.netSeqNum);
            return [];
          }
          return Array.from({ length: fate.twice ? 2 : 1 }, (_, copy) => ({
            fragment,
            place: fate.place + copy * 7,
          }));
        });
        made.begin(1n, 0n);
        for (const { fragment } of link.sort((a, b) => a.place - b.place)) made.take(fragment);
        t.true(made.giveUp(1n, BigInt(count - 1)));
        t.deepEqual(
          out,
          numbers.map((n) => (dropped.has(n) ? `${n} lost` : `${n} good 3`)),
        );
        t.is(made.heldBytes, 0);
      },
    ),
  );
});

test('reassembly: fragments that contradict others, lie outside, or ask for too much are dropped', (t) => {
  const { made, out } = reassembly(1000);
  made.begin(1n, 0n);
  const [first, second] = fragments(0n, pattern(200)) as [Fragment, Fragment];
  made.take(first);
  made.take({ ...second, dataSizeBytes: 300 });
  made.take({ ...second, offsetBytes: 150 });
  made.take({ ...first, netSeqNum: 1n, dataSizeBytes: 0xffff_ffff });
  made.take({ ...first, netSeqNum: 2n, dataSizeBytes: 900 });
  t.is(made.bad, 4);
  t.is(made.heldBytes, 200);
  t.false(made.giveUp(1n, 2n ** 63n), 'a number that nobody can have sent');
  t.deepEqual(out, []);
});

test('arrivals: each number counts once, and what is passed by is not waited for', (t) => {
  const arrivals = new Arrivals();
  t.deepEqual(
    [0n, 2n, 2n, 1n, 0n, 5n].map((n) => arrivals.note(n)),
    [true, true, false, true, false, true],
  );
  t.is(arrivals.floor, 3n);
  arrivals.pass(5n);
  t.is(arrivals.floor, 6n);
  t.false(arrivals.note(4n));
  t.is(arrivals.received, 4n);
});
