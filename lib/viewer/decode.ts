/**
 * Decoding as a part of other programs: packets in, events out, and fields only where somebody asks for them. An event
 * knows where it lies in its packet; its fields become values when they are read first.
 */
import type { Duplex } from 'node:stream';
import { compileBody, compileHeader, compilePacket, type Decode } from '../ctf/decode/compiler.ts';
import { Cursor, decodeError } from '../ctf/decode/cursor.ts';
import type { EventLayout, StreamLayout } from '../ctf/decode/layout.ts';
import type { FieldStruct } from '../ctf/decode/values.ts';
import { type ScopeValues, ValuesEmitter } from '../ctf/decode/values-emitter.ts';
import { readTraceClass } from '../ctf/metadata/index.ts';
import type { EventClass } from '../ctf/trace-class.ts';
import { MillraceError } from '../errors.ts';
import { objectStage } from '../stage/stage.ts';
import { ClockReader, nsOfMoment } from './moment.ts';
import { FoldEmitter } from './skip-emitter.ts';
import { type Trace, traceOf } from './trace.ts';

/** A whole CTF packet. */
export interface PacketInput {
  /** Header to padding, or to the end of the content. Given away: events look into it as long as they live. */
  bytes: Buffer;
  /** Tells the data streams of a trace apart, whose clocks go on from packet to packet; one stream where absent. */
  stream?: string | number;
}

/** The events of one packet, in their order. */
export interface EventBatch {
  stream: string | number;
  events: DecodedEvent[];
}

interface StreamFunctions {
  layout: StreamLayout;
  packet: Decode<ScopeValues>;
  header: Decode<undefined>;
  events: Map<bigint, { event: EventClass; skip: Decode<undefined>; values: Decode<ScopeValues> }>;
}

/** What the events of one packet share. */
interface PacketFacts {
  cursor: Cursor;
  context: ScopeValues;
}

export class DecodedEvent {
  readonly class: EventClass;
  /** The clock's value; undefined: the stream has no clock. */
  readonly cycles: bigint | undefined;
  /** Nanoseconds since the clock's origin. */
  readonly timeNs: bigint | undefined;
  readonly #packet: PacketFacts;
  readonly #values: Decode<ScopeValues>;
  readonly #at: number;
  readonly #shared: Float64Array;
  #scopes: ScopeValues | undefined;

  /** @internal Made by `TraceDecoder`. */
  constructor(
    eventClass: EventClass,
    time: { cycles: bigint; timeNs: bigint } | undefined,
    place: { packet: PacketFacts; values: Decode<ScopeValues>; at: number; shared: Float64Array },
  ) {
    this.class = eventClass;
    this.cycles = time?.cycles;
    this.timeNs = time?.timeNs;
    this.#packet = place.packet;
    this.#values = place.values;
    this.#at = place.at;
    this.#shared = place.shared;
  }

  get name(): string {
    return this.class.name;
  }

  /** The context of its packet; undefined where nothing of it is shown. The same for the scopes below. */
  get packetContext(): FieldStruct | undefined {
    return this.#packet.context.packetContext;
  }

  /** The context that all events of the stream have. */
  get streamContext(): FieldStruct | undefined {
    return this.#fields().eventCommonContext;
  }

  get context(): FieldStruct | undefined {
    return this.#fields().eventContext;
  }

  get payload(): FieldStruct | undefined {
    return this.#fields().eventPayload;
  }

  #fields(): ScopeValues {
    if (this.#scopes === undefined) {
      const { cursor } = this.#packet;
      cursor.at = this.#at;
      cursor.shared.set(this.#shared);
      this.#scopes = {};
      this.#values(cursor, this.#scopes);
    }
    return this.#scopes;
  }
}

const noSlots = new Float64Array(0);

/** Decodes the packets of one trace. */
export class TraceDecoder {
  readonly trace: Trace;
  readonly #functions = new Map<bigint, StreamFunctions>();
  readonly #clocks = new Map<string | number, { clock: Uint32Array; reader: ClockReader | undefined }>();

  /** `metadata`: a whole metadata file; not kept. Errors: MR_ERR_CTF_METADATA, MR_ERR_CTF_LAYOUT. */
  constructor(metadata: Buffer) {
    this.trace = traceOf(readTraceClass(metadata), '');
  }

  /** The events of a packet. Errors: MR_ERR_CTF_MAGIC, MR_ERR_CTF_STREAM_CLASS, MR_ERR_CTF_SHORT, MR_ERR_CTF_EVENT. */
  events({ bytes, stream = 0 }: PacketInput): DecodedEvent[] {
    const header = this.trace.reader.packetAt(bytes);
    const functions = this.#functionsOf(header.streamClassId);
    const { layout } = functions;
    const cursor = new Cursor(layout.sharedSlots);
    const state = this.#clockOf(stream, layout);
    cursor.clock.set(state.clock);
    const contentBits = Math.min(Number(header.contentSizeBits ?? bytes.length * 8), bytes.length * 8);
    cursor.enter(bytes, contentBits);
    const lazy = new Cursor(layout.sharedSlots);
    lazy.enter(bytes, contentBits);
    const packet: PacketFacts = { cursor: lazy, context: {} };
    const events: DecodedEvent[] = [];
    try {
      functions.packet(cursor, packet.context);
      while (cursor.at < contentBits) {
        const start = cursor.at;
        events.push(this.#event(functions, cursor, packet, state.reader));
        if (cursor.at === start)
          throw new MillraceError('MR_ERR_CTF_EVENT', { bit: start, why: 'it takes no bits and never ends' });
      }
    } catch (error) {
      throw decodeError(error, cursor);
    }
    const end = header.timestampEndCycles;
    if (end !== undefined) setClock(cursor.clock, end);
    state.clock.set(cursor.clock);
    return events;
  }

  #event(
    { layout, header, events }: StreamFunctions,
    cursor: Cursor,
    packet: PacketFacts,
    reader: ClockReader | undefined,
  ): DecodedEvent {
    const start = cursor.at;
    header(cursor, undefined);
    const id = word(cursor.idHigh, cursor.idLow);
    const found = events.get(id) ?? this.#compile(layout, events, id);
    if (found === undefined)
      throw new MillraceError('MR_ERR_CTF_EVENT', { bit: start, why: `there is no event class of id ${id}` });
    const [low = 0, high = 0] = cursor.clock;
    const cycles = word(high, low);
    const time = reader && { cycles, timeNs: nsOfMoment(reader.momentOf(cycles)) };
    const shared = layout.sharedSlots === 0 ? noSlots : cursor.shared.slice();
    const place = { packet, values: found.values, at: cursor.at, shared };
    found.skip(cursor, undefined);
    return new DecodedEvent(found.event, time, place);
  }

  #compile(layout: StreamLayout, events: StreamFunctions['events'], id: bigint) {
    const [only] = layout.events.values();
    const event: EventLayout | undefined =
      layout.events.get(id) ??
      (layout.eventHeader === undefined && layout.events.size === 1 ? only : undefined);
    if (event === undefined) return undefined;
    const functions = {
      event: event.event,
      skip: compileBody<undefined>(layout, event, (code) => new FoldEmitter(code)),
      values: compileBody<ScopeValues>(layout, event, (code) => new ValuesEmitter(code)),
    };
    events.set(id, functions);
    return functions;
  }

  #functionsOf(streamClassId: bigint): StreamFunctions {
    let functions = this.#functions.get(streamClassId);
    if (functions === undefined) {
      const layout = this.trace.layouts.get(streamClassId) as StreamLayout;
      functions = {
        layout,
        packet: compilePacket(layout, (code) => new ValuesEmitter(code)),
        header: compileHeader(layout, (code) => new FoldEmitter(code)),
        events: new Map(),
      };
      this.#functions.set(streamClassId, functions);
    }
    return functions;
  }

  #clockOf(stream: string | number, { clock }: StreamLayout) {
    let state = this.#clocks.get(stream);
    if (state === undefined) {
      state = { clock: new Uint32Array(2), reader: clock && new ClockReader(clock) };
      this.#clocks.set(stream, state);
    }
    return state;
  }
}

function word(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function setClock(clock: Uint32Array, cycles: bigint): void {
  clock[0] = Number(cycles & 0xffff_ffffn);
  clock[1] = Number((cycles >> 32n) & 0xffff_ffffn);
}

/**
 * A stage that decodes: takes `PacketInput`, gives an `EventBatch` for each. `metadata`: a whole metadata file. Errors:
 * those of `TraceDecoder`, which end the stage.
 */
export function decode({ metadata }: { metadata: Buffer }): Duplex {
  const decoder = new TraceDecoder(metadata);
  return objectStage<PacketInput, EventBatch>('decode', {
    transform(packet, push) {
      push({ stream: packet.stream ?? 0, events: decoder.events(packet) });
    },
  });
}
