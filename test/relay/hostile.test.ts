/**
 * Every misbehaving peer beside a session that does everything right: it loses at most its own connection, one line
 * says who, what and why, everything that it took comes back, and the good session loses nothing.
 */
import assert from 'node:assert';
import { readdirSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import type { ErrorCode } from '../../lib/index.ts';
import type { Told } from '../../lib/telemetry.ts';
import { absoluteHostName } from '../fakes/absolute-host-name.ts';
import { dataForUnknown } from '../fakes/data-for-unknown.ts';
import { dataToMetadataStream } from '../fakes/data-to-metadata-stream.ts';
import type { Fake } from '../fakes/fake.ts';
import { fillsItsReads } from '../fakes/fills-its-reads.ts';
import { foreignClose } from '../fakes/foreign-close.ts';
import { foreignData } from '../fakes/foreign-data.ts';
import { foreignIndex } from '../fakes/foreign-index.ts';
import { indexForUnknown } from '../fakes/index-for-unknown.ts';
import { indexesWithoutData } from '../fakes/indexes-without-data.ts';
import { length2To63 } from '../fakes/length-2-63.ts';
import { metadataPadding4Gib } from '../fakes/metadata-padding-4-gib.ts';
import { metadataToDataStream } from '../fakes/metadata-to-data-stream.ts';
import { millionStreams } from '../fakes/million-streams.ts';
import { nulInName } from '../fakes/nul-in-name.ts';
import { oneByteASecond } from '../fakes/one-byte-a-second.ts';
import { packetWithoutEnd } from '../fakes/packet-without-end.ts';
import { pathEscapes } from '../fakes/path-escapes.ts';
import { randomBytesControl } from '../fakes/random-bytes-control.ts';
import { randomBytesData } from '../fakes/random-bytes-data.ts';
import { replyNeverRead } from '../fakes/reply-never-read.ts';
import { resetMidPacket } from '../fakes/reset-mid-packet.ts';
import { secondCreateSession } from '../fakes/second-create-session.ts';
import { silentThousands } from '../fakes/silent-thousands.ts';
import { stringWithoutNul } from '../fakes/string-without-nul.ts';
import { truncatedPacket } from '../fakes/truncated-packet.ts';
import { truncatedPayload } from '../fakes/truncated-payload.ts';
import { unknownCommand } from '../fakes/unknown-command.ts';
import { GoodSession } from '../helpers/good-session.ts';
import type { Peer } from '../helpers/peer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import { getConfiguration } from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

/** The one line that is told: its code, its command, and words that say what was expected or found. */
type Line = readonly [code: ErrorCode, command: string, words: RegExp];

const ends: ReadonlyArray<readonly [fake: Fake, line: Line]> = [
  [randomBytesControl, ['MR_ERR_WIRE_LONG', 'connection', /bytes, at most 134217728 are allowed/]],
  [randomBytesData, ['MR_ERR_RELAY_STREAM_UNKNOWN', 'data', /stream \d+ is unknown/]],
  [
    length2To63,
    ['MR_ERR_WIRE_LONG', 'connection', /createSession has 9223372036854775808 bytes, at most 134217728/],
  ],
  [unknownCommand, ['MR_ERR_RELAY_COMMAND', '4711', /unknown command 4711/]],
  [truncatedPayload, ['MR_ERR_STAGE_TRUNCATED', 'connection', /ended in the middle: 50 of 94 bytes/]],
  [truncatedPacket, ['MR_ERR_STAGE_TRUNCATED', 'data', /ended in the middle: 3000 of 5032 bytes/]],
  [stringWithoutNul, ['MR_ERR_WIRE_STRING', 'addStream', /channelName is not a NUL-terminated string/]],
  [nulInName, ['MR_ERR_WIRE_STRING', 'addStream', /channelName is not a NUL-terminated string/]],
  [
    absoluteHostName,
    ['MR_ERR_RELAY_SESSION', 'createSession', /host name \/etc is no safe name: it holds a slash/],
  ],
  [foreignIndex, ['MR_ERR_RELAY_STREAM_FOREIGN', 'sendIndex', /belongs to a session of another connection/]],
  [foreignData, ['MR_ERR_RELAY_STREAM_FOREIGN', 'data', /belongs to a session of another connection/]],
  [
    foreignClose,
    ['MR_ERR_RELAY_STREAM_FOREIGN', 'closeStream', /belongs to a session of another connection/],
  ],
  [secondCreateSession, ['MR_ERR_RELAY_SESSION', 'createSession', /this connection has one already/]],
  [millionStreams, ['MR_ERR_RELAY_STREAMS', 'addStream', /101 streams, at most 100/]],
  [dataForUnknown, ['MR_ERR_RELAY_STREAM_UNKNOWN', 'data', /stream 4711 is unknown/]],
  [indexForUnknown, ['MR_ERR_RELAY_STREAM_UNKNOWN', 'sendIndex', /stream 4711 is unknown/]],
  [metadataToDataStream, ['MR_ERR_RELAY_STREAM_KIND', 'sendMetadata', /is no metadata stream/]],
  [dataToMetadataStream, ['MR_ERR_RELAY_STREAM_KIND', 'data', /is a metadata stream/]],
  [indexesWithoutData, ['MR_ERR_RELAY_INDEX', 'sendIndex', /packet 65536 is one of more than 65536/]],
  [metadataPadding4Gib, ['MR_ERR_RELAY_METADATA', 'sendMetadata', /its padding is 4294967295 bytes/]],
];

const limits = { streamsPerSession: 100, strangers: 50, strangerSeconds: 0.5, inFlightSeconds: 0.2 };
/** Slabs that connections may hold for what has not come. */
const expectingSlabs = 16;
const descriptors = () => readdirSync('/proc/self/fd').length;

/** A relay, a good session, and a misbehaving peer that has done its deed. */
class Scene {
  readonly relay: TestRelay;
  readonly good: GoodSession;
  peer!: Peer;
  readonly #descriptors: number;
  readonly #leave: Array<() => unknown> = [];

  private constructor(relay: TestRelay, good: GoodSession) {
    this.relay = relay;
    this.good = good;
    this.#descriptors = descriptors();
  }

  static async play(t: ExecutionContext, fake: Fake): Promise<Scene> {
    const relay = await TestRelay.start(t, { limits });
    const scene = new Scene(relay, await GoodSession.open(t, relay));
    const teardown = (leave: () => unknown) => void scene.#leave.push(leave);
    scene.peer = await scene.good.during(fake(relay, { teardown }));
    return scene;
  }

  /** The one line told of the peer. */
  line(): Told | undefined {
    const told = this.relay.complaints(this.peer.name);
    assert(told.length <= 1, `${told.length} lines: ${told.map(({ text }) => text).join('; ')}`);
    return told[0];
  }

  /** The peer has gone: what it took comes back, and the good session has everything it sent. */
  async end(): Promise<void> {
    const { relay, good } = this;
    for (const leave of this.#leave) await leave();
    await this.peer.destroy();
    const left = () => {
      const { sessions, connections, slabsInUse } = relay.status();
      const { control, data } = connections;
      return [
        sessions.length,
        control,
        data,
        slabsInUse,
        Math.max(0, descriptors() - this.#descriptors),
      ].join(' ');
    };
    await good.packets(3);
    await good.stored();
    await until(
      () => left() === '1 1 1 0 0',
      () => `sessions, control and data connections, slabs, further descriptors: ${left()}`,
    );
    await good.finish();
    await relay.empty();
    good.verify(relay);
  }
}

for (const [fake, [code, command, words]] of ends)
  test(`${fake.name} loses its own connection, and one line says why`, async (t) => {
    const scene = await Scene.play(t, fake);
    await scene.good.during(scene.peer.closed);
    const line = scene.line();
    t.like(line, { code, facts: { command, peer: scene.peer.name } });
    t.regex(line?.text ?? '', words);
    await scene.end();
  });

test('pathEscapes is refused one stream, which one line says, and keeps its connection', async (t) => {
  const scene = await Scene.play(t, pathEscapes);
  const line = scene.line();
  t.like(line, { code: 'MR_ERR_DISK_NAME', facts: { command: 'addStream' } });
  t.regex(line?.text ?? '', /stream path .* is no safe name: it leads out of its directory/);
  t.is((await scene.peer.ask(getConfiguration(), 12)).readUInt32BE(0), 10);
  await scene.end();
});

test('oneByteASecond is understood as far as it comes, and closed when it has belonged to no session too long', async (t) => {
  const scene = await Scene.play(t, oneByteASecond);
  t.is((await scene.peer.read(8)).toString('hex'), '000000020000000f');
  await scene.good.during(scene.peer.closed);
  const line = scene.line();
  t.like(line, { code: 'MR_ERR_NETWORK_IDLE' });
  t.regex(line?.text ?? '', /belongs to no session/);
  await scene.end();
});

test('silentThousands are refused above the ceiling and closed after their time, and take no memory', async (t) => {
  const scene = await Scene.play(t, silentThousands);
  const { relay, good } = scene;
  t.true(relay.status().connections.strangers <= limits.strangers);
  await good.during(
    until(
      () => relay.status().connections.strangers === 0,
      () => `${relay.status().connections.strangers} strangers`,
    ),
  );
  const told = (wanted: ErrorCode) => relay.complaints().filter(({ code }) => code === wanted).length;
  t.true(told('MR_ERR_NETWORK_CEILING') > 0);
  t.is(told('MR_ERR_NETWORK_CEILING') + told('MR_ERR_NETWORK_IDLE'), 2000);
  await scene.end();
});

test('replyNeverRead is read no further than its replies go, and told of when its time is over', async (t) => {
  const scene = await Scene.play(t, replyNeverRead);
  await scene.good.during(scene.peer.closed);
  t.like(scene.line(), { code: 'MR_ERR_NETWORK_IDLE' });
  await scene.end();
});

test('fillsItsReads gets no more than half of the slabs to fall silent with', async (t) => {
  const scene = await Scene.play(t, fillsItsReads);
  const slabs = () => scene.relay.status().slabsInUse;
  await until(
    () => slabs() <= expectingSlabs,
    () => `${slabs()} slabs`,
  );
  await scene.good.packets(20);
  await scene.end();
  t.pass();
});

test('packetWithoutEnd is stored as far as it came, and cut when it goes; one slab at most waits for the rest', async (t) => {
  const scene = await Scene.play(t, packetWithoutEnd);
  const size = () => scene.relay.tree()['vm/intruder-20231114-221320/ust/uid/0/64-bit/c_0']?.length;
  await scene.good.during(
    until(
      () => size() === 3 * 1024 * 1024,
      () => `${size()} bytes`,
    ),
  );
  const slabs = () => scene.relay.status().slabsInUse;
  await until(
    () => slabs() <= 1,
    () => `${slabs()} slabs`,
  );
  await scene.end();
  t.is(size(), 0);
  t.like(scene.relay.status().lost.unfinished, { packets: 1 });
});

test('resetMidPacket ends its session; nothing of the torn packet is left, and its loss is counted', async (t) => {
  const scene = await Scene.play(t, resetMidPacket);
  await scene.end();
  t.is(scene.relay.tree()['vm/intruder-20231114-221320/ust/uid/0/64-bit/c_0']?.length, 0);
  t.like(scene.relay.status().lost.unfinished, { packets: 1 });
});
