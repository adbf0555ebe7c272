/**
 * One session on its way into a relay: frames to requests, one method a kind. A method returns a promise where the
 * protocol says that something must be waited for (a handle, room in a socket), and nothing where it does not:
 * replies of indexes come in while the next packets leave.
 */
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Frame, FrameKind, SessionOpen } from '../../stage/frames.ts';
import type { Slab } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import { none, type RequestOf } from '../../wire/relay/index.ts';
import { ClientPackets } from './client-packets.ts';
import { ClientStream } from './client-stream.ts';
import { beaconRequest, closeCommand, sessionRequest, since, streamPath, tracefileRing } from './dialect.ts';
import type { RelayLink } from './handshake.ts';
import type { SinkProgress } from './options.ts';

type FrameOf<K extends FrameKind> = Extract<Frame, { kind: K }>;
type Sender = { [K in FrameKind]?: (frame: FrameOf<K>, slab: Slab | undefined) => Promise<void> | undefined };

/** See the file's head. */
export class ClientSession {
  readonly link: RelayLink;
  readonly open: SessionOpen;
  readonly progress: SinkProgress;
  /** The relay's id of the session. */
  id = 0n;
  readonly streams = new Map<number, ClientStream>();
  /** Chunks that were closed: at the end the relay is asked whether they are complete. */
  readonly closedChunks: bigint[] = [];
  /** A question is under way for which streams must stay open. */
  asking: Promise<unknown> = Promise.resolve();
  readonly #packets: ClientPackets;
  #chunk: bigint | undefined;
  /** A relay before 2.11 has had one chunk, and can have no other. */
  #hadChunk = false;
  #published = false;

  constructor(link: RelayLink, open: SessionOpen, progress: SinkProgress) {
    this.link = link;
    this.open = open;
    this.progress = progress;
    this.#packets = new ClientPackets(link, progress, this.isIndexed);
  }

  get peer(): string {
    return this.link.control.peer;
  }

  /** Whether packets have indexes in this session. Source: relay-protocol §10.1. */
  get isIndexed(): boolean {
    return this.link.minor >= since.indexes && !this.open.snapshot;
  }

  get #hasChunks(): boolean {
    return this.link.minor >= since.chunks;
  }

  /** CREATE_SESSION. Rejects with MR_ERR_CLIENT_REFUSED and its sisters, MR_ERR_CLIENT_UNSUPPORTED. */
  async create(): Promise<void> {
    const { open, link } = this;
    if (open.traceFormat === 'ctf-2' && link.minor < since.ctf2) throw this.#unsupported('takes no CTF 2');
    const reply = await link.control.ask('createSession', sessionRequest(open));
    this.id = reply.sessionId;
    await link.data.opened(link.control);
    this.progress.minor = link.minor;
    this.progress.isMillrace = link.isMillrace;
    this.progress.resumes = link.resumes;
    this.progress.outputPath = reply.outputPath ?? '';
    tell(
      'info',
      'client:session-open',
      `session ${open.hostname}/${open.sessionName} opened at ${this.peer}`,
      {
        peer: this.peer,
        minor: link.minor,
        path: this.progress.outputPath,
      },
    );
  }

  /** Sends one frame of the session. The slab is retained as long as its bytes are needed. */
  take(frame: Frame, slab: Slab | undefined): Promise<void> | undefined {
    const stream = 'stream' in frame ? this.streams.get(frame.stream) : undefined;
    if (stream?.undecided !== undefined && frame.kind !== 'index' && frame.kind !== 'inactive')
      return this.#decide(stream, frame).then(() => this.#send(frame, slab));
    return this.#send(frame, slab);
  }

  #send(frame: Frame, slab: Slab | undefined): Promise<void> | undefined {
    const send = this.#senders[frame.kind] as
      | ((frame: Frame, slab: Slab | undefined) => Promise<void> | undefined)
      | undefined;
    return send?.(frame, slab);
  }

  readonly #senders: Sender = {
    chunkOpen: ({ chunk, creationTimeS, overrideName }) => {
      if (!this.#hasChunks) {
        if (this.#hadChunk) throw this.#unsupported('knows no trace chunks: a rotation cannot be sent there');
        this.#hadChunk = true;
        return undefined;
      }
      this.#chunk = chunk;
      return this.#ask('createTraceChunk', { chunkId: chunk, creationTimeS, overrideName });
    },

    streamOpen: async (frame) => {
      this.streams.set(frame.stream, new ClientStream(frame, await this.#addStream(frame)));
    },

    published: () => {
      this.#published = true;
      this.#publish();
      return undefined;
    },

    metadata: (frame, slab) => {
      const stream = this.#stream(frame.stream);
      const { control, minor } = this.link;
      if (frame.version !== stream.version) {
        if (minor < since.resetMetadata) throw this.#unsupported('cannot replace metadata');
        stream.version = frame.version;
        control.send('resetMetadata', { streamId: stream.handle, version: BigInt(frame.version) });
      }
      // Copied: it is short, and what a rotation repeats must not hold slabs of packets.
      if (slab !== undefined && frame.end > frame.start)
        stream.text.push(Buffer.from(slab.bytes.subarray(frame.start, frame.end)));
      const textBytes = stream.text.reduce((sum, { length }) => sum + length, 0);
      if (textBytes > limits.metadataBytes) throw tooLong(textBytes);
      if (!frame.last || textBytes === 0) return undefined;
      const { paddingSizeBytes } = frame;
      control.send('sendMetadata', { streamId: stream.handle, paddingSizeBytes }, undefined, stream.text);
      stream.text = [];
      this.progress.metadataBytes += textBytes;
      return undefined;
    },

    data: (frame, slab) => this.#packets.data(this.#stream(frame.stream), frame, slab as Slab),
    index: (frame) => this.#packets.index(this.#stream(frame.stream), frame),
    lost: (frame) => this.#packets.lost(this.#stream(frame.stream), frame),

    inactive: (frame) => {
      const { handle } = this.#stream(frame.stream);
      if (this.isIndexed) this.link.control.send('sendIndex', beaconRequest(handle, frame));
      return undefined;
    },

    switch: ({ stream: handle, atPacketSeqNum, chunk }) => {
      const stream = this.#stream(handle);
      if (!this.#hasChunks) return undefined;
      // A millrace relay knows what to do with a stream that has no packets yet, or none of this connection's.
      if (this.link.isMillrace || !this.isIndexed || !stream.isUntouched)
        return this.#rotate(stream, atPacketSeqNum, chunk);
      // LTTng flushes its buffers after the request: packets before the split may still come.
      if (atPacketSeqNum === 0n || chunk === undefined) return this.#openAgain(stream, chunk);
      stream.undecided = { atPacketSeqNum, chunk };
      return undefined;
    },

    chunkDone: async ({ chunk, closeTimeS, action }) => {
      if (!this.#hasChunks) return;
      for (const stream of this.streams.values()) await this.#decide(stream, undefined);
      if (this.#chunk === chunk) this.#chunk = undefined;
      this.closedChunks.push(chunk);
      await this.#ask('closeTraceChunk', {
        chunkId: chunk,
        closeTimeS,
        command: closeCommand(action, this.link),
      });
    },

    streamEnd: async (frame) => {
      const stream = this.#stream(frame.stream);
      await this.#packets.end(stream);
      await this.asking;
      this.link.data.flush();
      // A relay would wait for the index of a packet that was cut short: it is closed when all else is stored.
      if (stream.cutShort) return;
      if (!stream.isGone) this.#closeStream(stream);
      this.streams.delete(frame.stream);
    },
  };

  #stream(handle: number): ClientStream {
    const stream = this.streams.get(handle);
    if (stream !== undefined) return stream;
    throw new MillraceError('MR_ERR_STAGE_ORDER', {
      frame: 'any',
      state: 'absent',
      why: `stream ${handle} is not open`,
    });
  }

  async #addStream(frame: FrameOf<'streamOpen'>): Promise<bigint> {
    const { link, open } = this;
    const { handle } = await link.control.ask('addStream', {
      channelName: frame.channelName,
      pathName: streamPath(open, link.minor, frame.path),
      ...tracefileRing(frame, link.control.peer),
      traceChunkId: this.#chunk ?? 0n,
    });
    return handle;
  }

  #closeStream({ handle, lastSent }: ClientStream): void {
    this.link.control.send('closeStream', { streamId: handle, lastNetSeqNum: lastSent ?? none });
  }

  #publish(): void {
    if (this.link.minor >= since.indexes) this.link.control.send('streamsSent', {});
  }

  /** The stream goes over at a packet. The relay must know of that before it gets one behind it. */
  #rotate(stream: ClientStream, atPacketSeqNum: bigint, chunk: bigint | undefined): Promise<void> {
    this.link.control.send('rotateStreams', {
      newChunkId: chunk,
      streams: [{ streamId: stream.handle, rotateAtSeqNum: atPacketSeqNum }],
    });
    if (this.isIndexed && chunk !== undefined) stream.switching(atPacketSeqNum);
    return this.link.control.fewer(0);
  }

  /** A change of chunks in front of the first packet: whether that belongs before it or behind it. */
  async #decide(stream: ClientStream, frame: Frame | undefined): Promise<void> {
    const { undecided } = stream;
    if (undecided === undefined) return;
    stream.undecided = undefined;
    const { atPacketSeqNum, chunk } = undecided;
    // both count from 0; only a clear lets them differ
    const first =
      frame?.kind === 'data'
        ? (stream.early.get(frame.netSeqNum)?.packetSeqNum ?? frame.netSeqNum)
        : undefined;
    if (first !== undefined && first < atPacketSeqNum) await this.#rotate(stream, atPacketSeqNum, chunk);
    else await this.#openAgain(stream, chunk);
  }

  /**
   * A stream without packets goes over to another chunk (undefined: to none). lttng-relayd would wait for its first
   * packet, and put that into the old chunk (relay-protocol §12.3): a new stream goes to the right one.
   */
  async #openAgain(stream: ClientStream, chunk: bigint | undefined): Promise<void> {
    await this.asking;
    if (!stream.isGone) this.#closeStream(stream);
    stream.isGone = chunk === undefined;
    if (chunk === undefined) return;
    stream.handle = await this.#addStream(stream.open);
    if (this.#published) this.#publish();
  }

  async #ask(
    command: 'createTraceChunk' | 'closeTraceChunk',
    request: RequestOf<'createTraceChunk'> | RequestOf<'closeTraceChunk'>,
  ): Promise<void> {
    await this.link.control.ask(command, request as never);
  }

  /** Between two batches: what was collected leaves, and what waits is bounded. */
  async settle(): Promise<void> {
    this.link.data.flush();
    this.link.control.flush();
    await this.link.data.room();
    if (this.link.control.outstanding > limits.pipelinedRequests)
      await this.link.control.fewer(limits.pipelinedRequests / 2);
  }

  /** Drops the connections; resolves when every slab is given back. */
  destroy(error: MillraceError): Promise<void> {
    this.#packets.drop();
    this.link.control.fail(error);
    this.link.data.fail(error);
    return this.link.data.closed;
  }

  #unsupported(why: string): MillraceError {
    const { peer } = this;
    return new MillraceError('MR_ERR_CLIENT_UNSUPPORTED', { peer, minor: this.link.minor, why });
  }
}

function tooLong(got: number): MillraceError {
  const expected = limits.metadataBytes;
  return new MillraceError('MR_ERR_WIRE_LONG', { what: 'metadata command', got, expected });
}
