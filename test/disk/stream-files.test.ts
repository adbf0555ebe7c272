/** The files of one stream when it goes over to another trace chunk. */
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { pattern } from '../helpers/bytes.ts';
import { sessionOpen, streamOpen } from '../helpers/frames.ts';
import * as r from '../helpers/requests.ts';
import { indexFrame, TestStore } from '../helpers/store.ts';

const chunk = { session: 1, overrideName: undefined };

/** A stream with one committed packet that has just gone over to chunk 1; chunk 0 has become what `action` says. */
async function rotated(t: Parameters<typeof TestStore.open>[0], action: 'moveToCompleted' | 'delete') {
  const store = TestStore.open(t);
  const content = pattern(64, 1);
  store.accept(
    sessionOpen({ session: 1 }),
    { kind: 'chunkOpen', chunk: 0n, creationTimeS: 10n, ...chunk },
    streamOpen({ session: 1, stream: 1, channelName: 'c_0' }),
  );
  await store.data({ stream: 1, netSeqNum: 0n, content });
  store.accept(indexFrame(1, 0n, { ...r.indexFacts(0n, 64, 64), packetSeqNum: 0n }));
  store.accept(
    { kind: 'chunkOpen', chunk: 1n, creationTimeS: 20n, ...chunk },
    { kind: 'switch', stream: 1, atPacketSeqNum: 1n, chunk: 1n },
    { kind: 'chunkDone', session: 1, chunk: 0n, closeTimeS: 30n, action },
  );
  const open = () => [...store.store.context.env.open].map(({ path }) => path.split('/').slice(-2).join('/'));
  return { store, open, content };
}

async function entered({ store: { store } }: Awaited<ReturnType<typeof rotated>>): Promise<void> {
  while (store.context.entering.size > 0) await turn();
}

test('whoever asks for a rotation waits neither for files to be closed nor for new ones: both are done in turns', async (t) => {
  const all = await rotated(t, 'moveToCompleted');
  const { store, open } = all;
  t.is(store.complete.length, 1, 'the old chunk is complete at once');
  t.deepEqual(open(), ['64-bit/c_0', 'index/c_0.idx'], 'with its files');
  await entered(all);
  t.deepEqual(open(), ['64-bit/c_0'], 'the first one in the new chunk');
});

test('a packet that comes before the turn finds the old files closed and the new one made', async (t) => {
  const { store, open, content } = await rotated(t, 'moveToCompleted');
  await store.data({ stream: 1, netSeqNum: 1n, content });
  t.is(store.store.context.entering.size, 0);
  t.deepEqual(open(), ['64-bit/c_0', 'index/c_0.idx']);
});

test('a chunk that is deleted while its files are still to be closed leaves nothing', async (t) => {
  const all = await rotated(t, 'delete');
  await entered(all);
  const files = Object.keys(all.store.files('host'));
  t.is(files.length, 1, files.join());
  t.regex(files[0] ?? '', /ust\/uid\/0\/64-bit\/c_0$/);
});

test('a stream that ends before the turn closes what it has left', async (t) => {
  const { store, open } = await rotated(t, 'moveToCompleted');
  store.accept({ kind: 'streamEnd', session: 1, stream: 1, lastNetSeqNum: 0n });
  await store.streamClosed(1);
  t.deepEqual(open(), []);
  t.is(store.store.context.entering.size, 0);
});
