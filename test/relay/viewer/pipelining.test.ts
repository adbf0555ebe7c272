// A viewer that does not wait for answers gets all of them, in order; those to small requests leave together.
import test from 'ava';
import { join, u32, u64 } from '../../helpers/bytes.ts';
import { LiveScene, metadataText } from '../../helpers/live.ts';
import { indexFacts } from '../../helpers/requests.ts';
import { ScriptedViewer, viewerCodes, viewerRequest } from '../../helpers/viewer.ts';

const { getMetadata, getNextIndex, getPacket, getNewStreams, createSession, detachSession } = viewerCodes;

/** An index reply of packet `n`, which begins at `offset`. Source: live-protocol, "Index reply". */
function indexReply(n: bigint, offset: number, bytes: number, flags: number): Buffer {
  const facts = indexFacts(n, bytes);
  return join(
    ...[offset, facts.packetSizeBits, facts.contentSizeBits, facts.timestampBegin, facts.timestampEnd].map(
      u64,
    ),
    ...[facts.eventsDiscarded, facts.streamClassId].map(u64),
    ...[1, flags].map(u32),
  );
}

const retry = join(Buffer.alloc(56), u32(2), u32(0));
const refused = join(u32(3), u32(0), u32(0));

/** Requests and their answers, each written by hand; the session has a stream of two packets and one of none. */
function conversation(scene: LiveScene): [Buffer, Buffer][] {
  const { stream, channels, metadata, session } = scene;
  const other = channels[1] as bigint;
  const [first, second] = scene.packetsOf(stream) as [Buffer, Buffer];
  const packet = (offset: number, bytes: number) =>
    viewerRequest(getPacket, join(u64(stream), u64(offset), u32(bytes)));
  const bytes = (packet: Buffer) => join(u32(1), u32(packet.length), u32(0), packet);
  const text = Buffer.from(metadataText);
  return [
    [viewerRequest(createSession), u32(1)],
    [viewerRequest(getNewStreams, u64(session)), join(u32(1), u32(0))],
    [viewerRequest(getNextIndex, u64(stream)), indexReply(0n, 0, first.length, 1)],
    [packet(0, first.length), bytes(first)],
    [viewerRequest(getMetadata, u64(metadata)), join(u64(text.length), u32(1), text)],
    [viewerRequest(getMetadata, u64(metadata)), join(u64(0), u32(2))],
    // held back for a while: what follows waits behind it
    [viewerRequest(getMetadata, u64(metadata)), join(u64(0), u32(2))],
    [viewerRequest(getNextIndex, u64(other)), retry],
    [viewerRequest(getNextIndex, u64(stream)), indexReply(1n, first.length, second.length, 0)],
    [packet(first.length, 100), bytes(second.subarray(0, 100))],
    [packet(first.length + 100, second.length - 100), bytes(second.subarray(100))],
    [packet(first.length + second.length, 1), refused],
    [viewerRequest(getNextIndex, u64(stream)), retry],
    [viewerRequest(detachSession, u64(session)), u32(1)],
    [viewerRequest(createSession), u32(1)],
  ];
}

test('all requests in one write are answered in order, byte for byte, wherever the write is split', async (t) => {
  const limits = { idleAnswerMs: 2, idleLingerMs: 1 };
  const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'], relay: { limits } });
  await scene.send(2);
  const pairs = conversation(scene);
  const requests = join(...pairs.map(([request]) => request));
  const replies = join(...pairs.map(([, reply]) => reply));
  for (let at = 0; at < requests.length; at += 1) {
    const { viewer } = await scene.viewer();
    const { peer } = viewer;
    peer.write(requests.subarray(0, at));
    if (at > 0) await new Promise(setImmediate);
    peer.write(requests.subarray(at));
    const got = await peer.read(replies.length);
    if (!got.equals(replies)) {
      t.deepEqual(got, replies, `split at ${at}`);
      return;
    }
    peer.socket.end();
    const rest = await peer.rest();
    if (rest.length > 0) t.fail(`split at ${at}: ${rest.length} bytes too many`);
  }
  t.pass();
});

test('replies to small requests of one write come in one piece, and nobody waits for more requests to join them', async (t) => {
  const scene = await LiveScene.open(t);
  const { peer } = await ScriptedViewer.open(t, scene.live);
  let pieces = 0;
  peer.socket.on('data', () => {
    pieces += 1;
  });
  for (const count of [1, 50]) {
    pieces = 0;
    peer.write(join(...Array.from({ length: count }, () => viewerRequest(createSession))));
    t.deepEqual(await peer.read(4 * count), join(...Array.from({ length: count }, () => u32(1))));
    t.is(pieces, 1);
  }
});
