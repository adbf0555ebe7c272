/**
 * CTF 2 over the live port: to viewers of minor 15 alone. The trace is one of the corpus, which babeltrace2's reading of
 * its CTF 1.8 twin vouches for; no tool of minor 15 is at hand, so the viewer is scripted. Source: live-protocol, §18.2.
 */
import { readFileSync } from 'node:fs';
import { Transform } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { directorySource } from '../../../lib/consumer/index.ts';
import { relaySink } from '../../../lib/relay/client/relay-sink.ts';
import { listLiveSessions, liveSource } from '../../../lib/relay/live-client/index.ts';
import { type FrameBatch, releaseBatch } from '../../../lib/stage/batch.ts';
import { compose } from '../../../lib/stage/compose.ts';
import { LiveView, TextFormat, TimeText } from '../../../lib/viewer/index.ts';
import { TestRelay, until } from '../../helpers/relay.ts';
import { fixture } from '../../helpers/traces.ts';
import { plainStyle } from '../../helpers/view.ts';
import { ScriptedViewer } from '../../helpers/viewer.ts';

const path = fixture('corpus/synth-ctf2-ust/trace');
const names = { hostname: 'host', sessionName: 'two', liveTimerUs: 1_000_000 };

/** A live session of the trace, whose end waits until `finish` is called. */
async function session(t: ExecutionContext): Promise<{ relay: TestRelay; finish: () => Promise<void> }> {
  const relay = await TestRelay.start(t);
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const held = new Transform({
    objectMode: true,
    transform(batch: FrameBatch, _encoding, callback) {
      const isEnd = batch.frames.some(({ kind }) => kind === 'streamEnd');
      void (isEnd ? finished : Promise.resolve()).then(() => callback(null, batch));
    },
  });
  const { control, data } = relay;
  const pipe = compose([
    { name: 'directory', stream: directorySource({ path, locks: 'none', ...names }) },
    { name: 'held', stream: held },
    { name: 'relay', stream: relaySink({ control, data }) },
  ]);
  t.teardown(() => pipe.abort());
  await until(
    () => (relay.status().sessions[0]?.packets ?? 0) > 0,
    () => 'nothing is stored',
  );
  return {
    relay,
    finish: async () => {
      finish();
      t.deepEqual(await pipe.outcome, { kind: 'end' });
    },
  };
}

test('a viewer of minor 15 finds a session of CTF 2 and reads its metadata and packets as they are', async (t) => {
  const { relay, finish } = await session(t);
  const viewer = await ScriptedViewer.open(t, relay.relay.addresses.live, { minor: 15 });
  const [listed] = await viewer.list();
  t.like(listed, { name: 'two', format: 1 });
  const { status, streams } = await viewer.attach(listed?.id as bigint);
  t.is(status, 1);
  const metadata = streams.find((stream) => stream.metadata);
  const data = streams.filter((stream) => !stream.metadata);
  t.deepEqual((await viewer.metadata(metadata?.id as bigint)).bytes, readFileSync(`${path}/metadata`));
  await finish();
  t.deepEqual(
    data.map(({ channel }) => channel),
    ['ch_0'],
  );
  t.deepEqual(Buffer.concat(await viewer.rest(data[0]?.id as bigint)), readFileSync(`${path}/ch_0`));
});

test('a viewer of an older minor is not shown it, and may not attach it', async (t) => {
  const { relay, finish } = await session(t);
  for (const minor of [4, 14]) {
    const viewer = await ScriptedViewer.open(t, relay.relay.addresses.live, { minor });
    t.deepEqual(await viewer.list(), []);
    t.is((await viewer.attach(BigInt(relay.status().sessions[0]?.id as number))).status, 3);
  }
  await finish();
});

test('the live client lists it as CTF 2, and what it reads is printed as babeltrace2 prints its twin', async (t) => {
  const { relay, finish } = await session(t);
  const { live: address } = relay.relay.addresses as { live: { host: string; port: number } };
  t.like((await listLiveSessions({ address }))[0], { sessionName: 'two', traceFormat: 'ctf-2' });
  let text = '';
  const view = new LiveView({
    format: new TextFormat(plainStyle, new TimeText(plainStyle.clock, () => {})),
    write: async (lines) => {
      text += Buffer.from(lines).toString('latin1');
    },
  });
  const source = liveSource({ address, ...names });
  t.teardown(() => source.destroy());
  const formats: string[] = [];
  for await (const batch of source as AsyncIterable<FrameBatch>) {
    for (const frame of batch.frames) {
      if (frame.kind === 'sessionOpen') formats.push(frame.traceFormat);
      if (frame.kind === 'index') void finish();
    }
    await view.take(batch);
    releaseBatch(batch);
  }
  await view.end();
  t.deepEqual(formats, ['ctf-2']);
  t.is(text, readFileSync(fixture('corpus/synth-ctf2-ust/expected.txt'), 'latin1'));
});
