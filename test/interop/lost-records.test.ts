/** How the stock readers take an index record with offset -1, which only millrace writes. */
import { spawnSync } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import { directorySource } from '../../lib/consumer/directory-source.ts';
import { storeSink } from '../../lib/disk/store-sink.ts';
import { planRepair, repairStore, verifyStore } from '../../lib/disk/verify/index.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose } from '../../lib/stage/compose.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { objectStage } from '../../lib/stage/stage.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { fixture, tracesBelow } from '../helpers/traces.ts';
import { peersRequired } from './helpers/peers.ts';

/** Stores a trace of lttng-relayd again, but for the second packet of `small_0`, which is lost on the way. */
async function storeWithLoss(t: ExecutionContext): Promise<string> {
  const outputPath = temporaryDirectory(t);
  let small: number | undefined;
  const losing = objectStage<FrameBatch, FrameBatch>('losing', {
    transform({ slab, frames }, push) {
      const passed = frames.flatMap((frame): Frame[] => {
        if (frame.kind === 'streamOpen' && frame.channelName === 'small_0') small = frame.stream;
        if (!('netSeqNum' in frame) || frame.stream !== small || frame.netSeqNum !== 1n) return [frame];
        if (frame.kind !== 'index') return [];
        return [{ kind: 'lost', stream: small, netSeqNum: 1n, cause: 'test', index: frame }];
      });
      push({ slab, frames: passed });
    },
  });
  const { kind } = await compose([
    { name: 'directory', stream: directorySource({ path: fixture('captures/two-channels/oracle') }) },
    { name: 'losing', stream: losing },
    { name: 'store', stream: storeSink({ outputPath }) },
  ]).outcome;
  t.is(kind, 'end');
  return outputPath;
}

/** What a reader prints of a trace, and how it ends. */
function read(reader: string, directory: string) {
  const [trace] = tracesBelow(directory) as [string];
  const { status, signal, stdout, stderr } = spawnSync(reader, [trace], { encoding: 'utf8' });
  return { end: signal ?? status, events: stdout.split('\n').length - 1, stderr };
}

const readers = ['babeltrace2', 'babeltrace'];
const missing = readers.filter((reader) => spawnSync(reader, ['--version']).error !== undefined);
const title =
  'a record of a lost packet: babeltrace2 warns and reads on, babeltrace 1.5 dies, repaired both read all';

if (missing.length > 0 && !peersRequired())
  test.skip(`${title} (not installed: ${missing.join(', ')})`, () => {});
else
  test(title, async (t) => {
    const directory = await storeWithLoss(t);
    const [two, one] = [read('babeltrace2', directory), read('babeltrace', directory)];
    t.is(two.end, 0);
    t.regex(two.stderr, /non-monotonic, packet offset/);
    t.true(two.events > 500);
    t.is(one.end, 'SIGABRT');
    t.true(one.events < two.events);

    const report = await verifyStore(directory);
    t.deepEqual(
      report.faults.map(({ code }) => code),
      ['index-lost'],
    );
    const outcomes = await repairStore(directory, planRepair(report));
    t.true(outcomes.every(({ left }) => left === undefined));
    t.true((await verifyStore(directory)).clean);
    for (const reader of readers) {
      const { end, events } = read(reader, directory);
      t.is(end, 0, reader);
      t.is(events, two.events, reader);
    }
  });
