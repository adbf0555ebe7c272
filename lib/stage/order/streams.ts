/** Streams in the order stage: opening, metadata, beacons, going over to another chunk. Packets: `packets.ts`. */
import type { Frame, Inactive, Metadata, StreamEnd, StreamOpen, Switch } from '../frames.ts';
import { chunkGrammar, outOfOrder, type StreamEvent, step, streamGrammar } from '../grammar.ts';
import type { Slab } from '../slab.ts';
import type { OrderParts, SessionMemory, StreamMemory } from './memory.ts';
import { PacketNumbers } from './numbers.ts';

/** All streams that are open, by handle. */
export class Streams {
  readonly #parts: OrderParts;
  #open = new Map<number, StreamMemory>();

  constructor(parts: OrderParts) {
    this.#parts = parts;
  }

  open(frame: StreamOpen, session: SessionMemory): void {
    const event = frame.channelName === 'metadata' ? 'streamOpen metadata' : 'streamOpen data';
    const state = step(streamGrammar, this.#open.get(frame.stream)?.state ?? 'absent', event, frame);
    const trace = session.traces.get(frame.path) ?? { textBytes: 0, mostBytes: 0 };
    const stream: StreamMemory = {
      handle: frame.stream,
      session,
      trace,
      state,
      numbers: new PacketNumbers(),
      offsetBytes: 0,
      held: new Map(),
      ending: undefined,
      chunk: session.current,
      isPublished: false,
      packetSeqNum: undefined,
      metadataVersion: undefined,
      isRotated: false,
    };
    session.traces.set(frame.path, trace);
    session.streams.set(frame.stream, stream);
    this.#open.set(frame.stream, stream);
    this.#parts.runs.add(frame);
  }

  close(stream: StreamMemory, frame: StreamEnd): void {
    this.step(stream, 'streamEnd', frame);
    this.#open.delete(stream.handle);
    stream.session.streams.delete(stream.handle);
    this.#parts.runs.add(frame);
  }

  /** The stream of a frame. Throws MR_ERR_STAGE_ORDER when it is not open. */
  of(frame: Frame & { stream: number }): StreamMemory {
    const stream = this.#open.get(frame.stream);
    if (stream === undefined) throw outOfOrder(frame, 'absent', 'its stream is not open');
    return stream;
  }

  /** The same for a frame that names its session as well. */
  ofSession(frame: StreamEnd | Metadata): StreamMemory {
    const stream = this.of(frame);
    if (stream.session.handle === frame.session) return stream;
    throw outOfOrder(frame, stream.state, `its stream belongs to session ${stream.session.handle}`);
  }

  step(stream: StreamMemory, event: StreamEvent, frame: Frame): void {
    stream.state = step(streamGrammar, stream.state, event, frame);
  }

  metadata(frame: Metadata, slab: Slab | undefined): void {
    const stream = this.ofSession(frame);
    const { trace, metadataVersion: version = frame.version } = stream;
    if (frame.version !== version && (frame.version !== version + 1 || stream.state === 'command')) {
      throw outOfOrder(frame, stream.state, `version ${frame.version} follows ${version}`);
    }
    this.step(stream, frame.last ? 'metadata last' : 'metadata part', frame);
    if (stream.isRotated) this.#parts.note('metadataAgain', frame.kind, { stream: stream.handle });
    if (frame.version !== version) trace.textBytes = 0;
    stream.isRotated = false;
    stream.metadataVersion = frame.version;
    trace.textBytes += frame.end - frame.start + (frame.last ? frame.paddingSizeBytes : 0);
    trace.mostBytes = Math.max(trace.mostBytes, trace.textBytes);
    this.#parts.runs.add(frame, slab);
  }

  inactive(frame: Inactive): void {
    const stream = this.of(frame);
    this.step(stream, 'inactive', frame);
    if (stream.chunk === undefined && stream.session.hadChunks) {
      this.#parts.note('beaconWithoutChunk', frame.kind, { stream: stream.handle });
    }
    this.#parts.runs.add(frame);
  }

  switch(frame: Switch): void {
    const stream = this.of(frame);
    this.step(stream, 'switch', frame);
    if (frame.chunk !== undefined) {
      step(chunkGrammar, stream.session.chunks.has(frame.chunk) ? 'open' : 'absent', 'switch', frame);
    }
    stream.chunk = frame.chunk;
    if (stream.state === 'text') {
      stream.isRotated = stream.trace.textBytes > 0;
      stream.trace.textBytes = 0;
    }
    this.#parts.runs.add(frame);
  }
}
