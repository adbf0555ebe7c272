import test from 'ava';
import { Fifo } from '../../lib/disk/fifo.ts';
import { HalfPackets, type Packet } from '../../lib/disk/packets.ts';
import { limits } from '../../lib/limits.ts';
import * as r from '../helpers/requests.ts';
import { indexFrame } from '../helpers/store.ts';

const index = (n: number) => indexFrame(1, BigInt(n), r.indexFacts(BigInt(n), 8));
const data = (n: number): Packet => ({
  netSeqNum: BigInt(n),
  tracefile: undefined,
  startBytes: 8 * n,
  endBytes: 8 * n + 8,
  index: undefined,
  recorded: false,
});

test('a packet is complete when its second half comes, whichever it is', (t) => {
  const halves = new HalfPackets(1);
  const first = data(0);
  t.false(halves.addData(first));
  t.is(halves.addIndex(index(0)), first);
  t.is(first.index?.netSeqNum, 0n);
  t.is(halves.addIndex(index(1)), undefined);
  t.deepEqual([...halves.announced()], [index(1)]);
  const second = data(1);
  t.true(halves.addData(second));
  t.deepEqual(second.index, index(1));
  t.is(halves.size, 0);
});

test('the same half twice is an error that names the packet', (t) => {
  const halves = new HalfPackets(1);
  halves.addData(data(0));
  t.throws(() => halves.addData(data(0)), { code: 'MR_ERR_RELAY_INDEX', message: /packet 0 came twice/ });
  halves.addIndex(index(1));
  t.throws(() => halves.addIndex(index(1)), {
    code: 'MR_ERR_RELAY_INDEX',
    message: /packet 1 was indexed twice/,
  });
});

test('no more halves are held than the ceiling allows', (t) => {
  const halves = new HalfPackets(1);
  for (let n = 0; n < limits.halfPacketsPerStream; n += 1) halves.addIndex(index(n));
  t.throws(() => halves.addIndex(index(limits.halfPacketsPerStream)), { code: 'MR_ERR_RELAY_INDEX' });
  halves.clear();
  t.is(halves.size, 0);
});

test('a queue gives its items back in order, however they come and go', (t) => {
  const fifo = new Fifo<number>();
  const taken: number[] = [];
  for (let n = 0; n < 1000; n += 1) {
    fifo.push(n);
    if (n % 3 === 0) taken.push(...fifo.takeWhile((item) => item < n, n % 5));
    t.is(fifo.first, taken.length);
    t.is(fifo.size, n + 1 - taken.length);
  }
  t.deepEqual(
    [...taken, ...fifo],
    Array.from({ length: 1000 }, (_, n) => n),
  );
  fifo.clear();
  t.is(fifo.first, undefined);
});
