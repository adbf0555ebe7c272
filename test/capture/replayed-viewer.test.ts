/**
 * A recorded babeltrace2 that followed a session of lttng-relayd, played to a millrace relay that holds the same trace:
 * session, streams and trace have other numbers there, and all of it was there from the beginning.
 */
import { closeSync, cpSync, openSync, readdirSync, writeSync } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { differenceOf, LearntIds } from '../../lib/capture/learnt-ids.ts';
import { type PlayReport, play } from '../../lib/capture/play.ts';
import { directorySource } from '../../lib/consumer/directory-source.ts';
import { relaySink } from '../../lib/relay/client/relay-sink.ts';
import type { StreamStatus } from '../../lib/relay/options.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { viewerReplyLayout, viewerRequestLayout } from '../../lib/wire/live/index.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { GoodSession } from '../helpers/good-session.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import { test } from '../helpers/serial.ts';

const folder = fileURLToPath(new URL('../../../fixtures/captures/viewer', import.meta.url));
const path = `${folder}/conversation.mrlog`;
const liveTimerUs = 200_000;

/** Packets, and what comes behind them, wait for `attached`: the viewer wants what is new. */
function packetsLater(attached: Promise<void>): Transform {
  return new Transform({
    objectMode: true,
    transform(batch: FrameBatch, _encoding, callback) {
      if (batch.frames.some(({ kind }) => kind === 'data')) void attached.then(() => callback(null, batch));
      else callback(null, batch);
    },
  });
}

const isOpen = ({ name, committedBytes }: StreamStatus): boolean => name !== 'metadata' || committedBytes > 0;

/** Plays the viewer to a relay to which the trace below `trace` was brought, behind another live session. */
async function played(t: ExecutionContext, trace: string): Promise<PlayReport> {
  const relay = await TestRelay.start(t);
  const other = await GoodSession.open(t, relay, { hostname: 'other' });
  let attach = (): void => {};
  const attached = new Promise<void>((resolve) => {
    attach = resolve;
  });
  const sink = relaySink({
    control: relay.control,
    data: relay.data,
    rename: (open) => ({ ...open, liveTimerUs, minor: 13 }),
  });
  const bringing = pipeline(directorySource({ path: trace, locks: 'none' }), packetsLater(attached), sink);
  await until(
    () =>
      relay
        .status()
        .sessions.some(
          ({ name, streams }) => name === 'seen' && streams.length === 3 && streams.every(isOpen),
        ),
    () => JSON.stringify(relay.status().sessions),
  );
  const playing = play({
    path,
    side: 'client',
    ports: { live: relay.relay.addresses.live },
    timeoutMs: 5000,
  });
  void until(
    () => relay.status().viewers.some(({ sessions }) => sessions.length > 0),
    () => JSON.stringify(relay.status().viewers),
  ).finally(attach);
  const report = await playing.finally(attach);
  await bringing;
  await other.finish();
  return report;
}

test('a recorded viewer hears what it heard from another relay, whose numbers were others', async (t) => {
  const report = await played(t, `${folder}/oracle`);
  t.is(report.connections, 2);
});

test('a byte of a packet that another relay holds otherwise is a difference, and named', async (t) => {
  const trace = temporaryDirectory(t);
  cpSync(`${folder}/oracle`, trace, { recursive: true });
  const name = readdirSync(trace, { recursive: true, encoding: 'utf8' }).find((file) =>
    file.endsWith('channel0_0'),
  );
  const file = openSync(`${trace}/${name}`, 'r+');
  writeSync(file, Buffer.from([0xa5]), 0, 1, 4000);
  closeSync(file);
  const error = await t.throwsAsync(played(t, trace));
  t.regex(error?.message ?? '', /bytes of a packet was a5/);
});

test('numbers are learnt from lists in any order, and put into requests; all else must be the same', (t) => {
  const layout = viewerReplyLayout('attachSession', 4);
  const stream = (streamId: bigint, channelName: string, ctfTraceId: bigint) => ({
    streamId,
    ctfTraceId,
    metadataFlag: 0,
    pathName: 'ust',
    channelName,
  });
  const recorded = { status: 1, streams: [stream(1n, 'a', 1n), stream(2n, 'b', 1n)] };
  const live = { status: 1, streams: [stream(8n, 'b', 5n), stream(9n, 'a', 5n)] };
  t.is(differenceOf(layout, recorded, live, new Set()), undefined);
  const ids = new LearntIds();
  ids.learn(layout, recorded, live);
  for (const [was, is] of [
    [1n, 9n],
    [2n, 8n],
    [3n, 3n],
  ] as const) {
    const request = viewerRequestLayout('getMetadata', 4).encode({ streamId: was });
    ids.rewrite(viewerRequestLayout('getMetadata', 4), request);
    t.is(request.readBigUInt64BE(), is);
  }
  const other = { status: 1, streams: [stream(8n, 'b', 5n), stream(9n, 'c', 5n)] };
  t.deepEqual(differenceOf(layout, recorded, other, new Set()), {
    field: 'channelName',
    got: 'b',
    expected: 'a',
  });
  const fewer = { status: 1, streams: [stream(8n, 'b', 5n)] };
  t.deepEqual(differenceOf(layout, recorded, fewer, new Set()), {
    field: 'streams',
    got: '1',
    expected: '2',
  });
});
