/** A relay, a live session of a scripted producer, and viewers of it. */
import type { ExecutionContext } from 'ava';
import { pattern } from './bytes.ts';
import { Producer, type ProducerOptions } from './producer.ts';
import { TestRelay, type TestRelayOptions } from './relay.ts';
import * as r from './requests.ts';
import { ScriptedViewer, type ShownStream } from './viewer.ts';

export interface LiveOptions {
  relay?: TestRelayOptions;
  producer?: ProducerOptions;
  /** Data streams; by default one. */
  channels?: readonly string[];
  /** Size and number of tracefiles; by default neither is limited. */
  ring?: { sizeBytes: bigint; count: bigint };
  /** Whether metadata is sent at once; by default it is. */
  metadata?: boolean;
}

export const metadataText = 'metadata of the scene';

/** See the file's head. */
export class LiveScene {
  readonly t: ExecutionContext;
  readonly relay: TestRelay;
  readonly producer: Producer;
  readonly channels: readonly bigint[];
  readonly metadata: bigint;
  /** Packets sent of each data stream. */
  readonly sent = new Map<bigint, Buffer[]>();

  private constructor(
    t: ExecutionContext,
    relay: TestRelay,
    producer: Producer,
    channels: readonly bigint[],
    metadata: bigint,
  ) {
    this.t = t;
    this.relay = relay;
    this.producer = producer;
    this.channels = channels;
    this.metadata = metadata;
    for (const channel of channels) this.sent.set(channel, []);
  }

  static async open(t: ExecutionContext, options: LiveOptions = {}): Promise<LiveScene> {
    const { limits, ...rest } = options.relay ?? {};
    const relay = await TestRelay.start(t, { ...rest, limits: { beaconGraceMs: 0, ...limits } });
    return LiveScene.on(t, relay, options);
  }

  /** A session on a relay that runs. */
  static async on(t: ExecutionContext, relay: TestRelay, options: LiveOptions = {}): Promise<LiveScene> {
    const { channels = ['c_0'], ring, metadata = true } = options;
    const producer = await Producer.open(t, relay, { liveTimerUs: 1_000_000, ...options.producer });
    const handles: bigint[] = [];
    for (const channelName of channels) {
      const limits = ring && { tracefileSizeBytes: ring.sizeBytes, tracefileCount: ring.count };
      const facts = { channelName, path: producer.usualPath(), ...limits };
      const reply = await producer.control.ask(r.addStream(producer.minor, facts), 12);
      handles.push(reply.readBigUInt64BE(0));
    }
    const text = await producer.addStream('metadata');
    await producer.ok(r.streamsSent());
    if (metadata) producer.metadata(text, metadataText);
    return new LiveScene(t, relay, producer, handles, text);
  }

  /** The first data stream. */
  get stream(): bigint {
    return this.channels[0] as bigint;
  }

  get session(): bigint {
    return this.producer.sessionId;
  }

  get live() {
    return this.relay.relay.addresses.live;
  }

  /** Sends packets of a stream, data then index, in lockstep; resolves when they are stored. */
  async send(count: number, stream = this.stream, bytes = 500): Promise<void> {
    const sent = this.sent.get(stream) as Buffer[];
    for (let n = 0; n < count; n += 1) {
      const packet = pattern(bytes + sent.length, sent.length);
      await this.producer.packet(stream, BigInt(sent.length), packet);
      sent.push(packet);
    }
    if (sent.length > 0) await this.producer.stored(stream, BigInt(sent.length - 1));
  }

  packetsOf(stream = this.stream): Buffer[] {
    return this.sent.get(stream) as Buffer[];
  }

  /** A viewer that is attached to the session. */
  async viewer(seek = 1): Promise<{ viewer: ScriptedViewer; streams: ShownStream[] }> {
    const viewer = await ScriptedViewer.open(this.t, this.live);
    const { status, streams } = await viewer.attach(this.session, seek);
    this.t.is(status, 1, 'ATTACH_SESSION');
    return { viewer, streams };
  }

  /** What `lttng destroy` sends. */
  async finish(): Promise<void> {
    const last = ([stream, packets]: [bigint, Buffer[]]) => [stream, BigInt(packets.length) - 1n] as const;
    await this.producer.finish([[this.metadata, r.noPacket], ...[...this.sent].map(last)]);
  }
}
