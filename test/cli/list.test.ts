import test from 'ava';
import { list } from '../../cli/commands/list.ts';
import { view } from '../../cli/commands/view.ts';
import { join, u32 } from '../helpers/bytes.ts';
import { connected, fakeLiveRelay, listed } from '../helpers/fake-live-relay.ts';
import { fixture } from '../helpers/traces.ts';
import { fakeContext } from './fake-context.ts';

const sessions = [listed(1, 'web', { clients: 2, streams: 3 }), listed(2, 'old', { timer: 0 })];

test('the sessions of a relay are a table, or JSON, under the address that was typed', async (t) => {
  const { port } = await fakeLiveRelay(t, { 1: () => connected(), 2: () => join(u32(2), ...sessions) });
  const table = fakeContext(t, [`live://127.0.0.1:${port}`]);
  t.is(await list.run(table), 0);
  t.deepEqual(table.words('stdout').split('\n'), [
    `HOST  SESSION       TIMER  STREAMS  VIEWERS  URL`,
    `host  web      1000000 us        3        2  live://127.0.0.1:${port}/host/host/web`,
    `host  old        not live        1        0  live://127.0.0.1:${port}/host/host/old`,
    '',
  ]);
  const json = fakeContext(t, ['--json', `net://127.0.0.1:${port}/host/host/web`]);
  t.is(await list.run(json), 0);
  t.deepEqual(JSON.parse(json.words('stdout')), [
    {
      hostname: 'host',
      sessionName: 'web',
      liveTimerUs: 1_000_000,
      clients: 2,
      streams: 3,
      traceFormat: 'ctf-1.8',
      url: `net://127.0.0.1:${port}/host/host/web`,
    },
  ]);
});

test('frames are lines of JSON: kind, stream, number, times, sizes', async (t) => {
  const context = fakeContext(t, ['--raw', fixture('captures/ust-plain/oracle')]);
  t.is(await view.run(context), 0);
  const frames = context
    .words('stdout')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.is(frames[0]?.kind, 'sessionOpen');
  t.is(frames.at(-1)?.kind, 'sessionEnd');
  const data = frames.find(({ kind }) => kind === 'data');
  t.like(data, { netSeqNum: 0, sizeBytes: 4096, dataSizeBytes: 4096, last: true });
  const index = frames.find(({ kind, stream }) => kind === 'index' && stream === data?.stream);
  t.is(index?.packetSizeBits, 32768);
  t.is(typeof index?.timestampBeginCycles, 'number');
});
