import type { FrameBatch } from '../../lib/stage/batch.ts';
import type * as frames from '../../lib/stage/frames.ts';
import { type OrderOptions, order } from '../../lib/stage/order.ts';

type Given<F> = Partial<Omit<F, 'kind'>>;

/** Frames with plain values: session 1, stream 1, packets of 8 bytes. */
export const sessionOpen = (given: Given<frames.SessionOpen> = {}): frames.SessionOpen => ({
  kind: 'sessionOpen',
  session: 1,
  hostname: 'host',
  sessionName: 's1',
  sessiondUuid: '00112233445566778899aabbccddeeff',
  idSessiond: 0n,
  creationTimeS: 1_700_000_000n,
  nameHasCreationTime: false,
  basePath: '',
  liveTimerUs: 0,
  snapshot: false,
  minor: 13,
  traceFormat: 'ctf-1.8',
  ...given,
});
export const sessionEnd = (given: Given<frames.SessionEnd> = {}): frames.SessionEnd => ({
  kind: 'sessionEnd',
  session: 1,
  outcome: 'end',
  ...given,
});
export const streamOpen = (given: Given<frames.StreamOpen> = {}): frames.StreamOpen => ({
  kind: 'streamOpen',
  session: 1,
  stream: 1,
  channelName: 'ch_0',
  path: 'ust/uid/0/64-bit',
  tracefileSizeBytes: 0n,
  tracefileCount: 0n,
  ...given,
});
export const streamEnd = (lastNetSeqNum?: bigint, stream = 1): frames.StreamEnd => ({
  kind: 'streamEnd',
  session: 1,
  stream,
  lastNetSeqNum,
});
export const published = (): frames.Published => ({ kind: 'published', session: 1 });
export const metadata = (given: Given<frames.Metadata> = {}): frames.Metadata => ({
  kind: 'metadata',
  session: 1,
  stream: 9,
  version: 0,
  start: 0,
  end: 8,
  last: true,
  paddingSizeBytes: 0,
  ...given,
});
export const data = (netSeqNum: bigint, given: Given<frames.Data> = {}): frames.Data => ({
  kind: 'data',
  stream: 1,
  netSeqNum,
  offsetBytes: 0,
  dataSizeBytes: 8,
  start: 0,
  end: 8,
  last: true,
  paddingSizeBytes: 0,
  ...given,
});
export const index = (netSeqNum: bigint, given: Given<frames.Index> = {}): frames.Index => ({
  kind: 'index',
  stream: 1,
  netSeqNum,
  packetSizeBits: 64n,
  contentSizeBits: 64n,
  timestampBeginCycles: netSeqNum * 10n,
  timestampEndCycles: netSeqNum * 10n + 9n,
  eventsDiscarded: 0n,
  streamClassId: 0n,
  streamInstanceId: 0n,
  packetSeqNum: netSeqNum,
  metadataPositionBytes: 0,
  ...given,
});
export const lost = (netSeqNum: bigint, given: Given<frames.Lost> = {}): frames.Lost => ({
  kind: 'lost',
  stream: 1,
  netSeqNum,
  cause: 'test',
  index: undefined,
  ...given,
});
export const sync = (...safe: [stream: number, netSeqNum: bigint][]): frames.Sync => ({
  kind: 'sync',
  session: 1,
  safe: safe.map(([stream, netSeqNum]) => ({ stream, netSeqNum })),
});
export const inactive = (stream = 1): frames.Inactive => ({
  kind: 'inactive',
  stream,
  netSeqNum: 0n,
  streamClassId: 0n,
  timestampEndCycles: 99n,
});
export const chunkOpen = (chunk = 0n): frames.ChunkOpen => ({
  kind: 'chunkOpen',
  session: 1,
  chunk,
  creationTimeS: 1n,
  overrideName: undefined,
});
export const switchTo = (chunk: bigint | undefined, stream = 1, atPacketSeqNum = 0n): frames.Switch => ({
  kind: 'switch',
  stream,
  atPacketSeqNum,
  chunk,
});
export const chunkDone = (chunk = 0n): frames.ChunkDone => ({
  kind: 'chunkDone',
  session: 1,
  chunk,
  closeTimeS: 2n,
  action: 'moveToCompleted',
});
/** A session whose data stream 1 and metadata stream 9 are open, published, and described by 8 bytes. */
export const opening = (given: Given<frames.SessionOpen> = {}): frames.Frame[] => [
  sessionOpen(given),
  chunkOpen(),
  streamOpen(),
  streamOpen({ stream: 9, channelName: 'metadata' }),
  published(),
  metadata(),
];

/** Sends each batch through an order stage; what came out before the end of the input, and the error if any. */
export async function throughOrder(
  input: FrameBatch[],
  options?: OrderOptions,
): Promise<{ passed: frames.Frame[]; batches: FrameBatch[]; error: unknown }> {
  const stage = order(options);
  const batches: FrameBatch[] = [];
  let error: unknown;
  stage.on('data', (batch: FrameBatch) => batches.push(batch));
  stage.on('error', (failure) => {
    error = failure;
  });
  await tick();
  for (const batch of input) stage.write(batch);
  await tick();
  const passed = batches.flatMap((batch) => batch.frames);
  for (const batch of batches) batch.slab?.release();
  stage.destroy();
  return { passed, batches, error };
}

/** Until everything that was scheduled has run. */
export const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
