/** The compiled functions of a stream class, made when they are needed first. */
import { compileBody, compileHeader, compilePacket, type Decode } from '../ctf/decode/compiler.ts';
import type { EventLayout, Field, StreamLayout } from '../ctf/decode/layout.ts';
import { type ScopeValues, ValuesEmitter } from '../ctf/decode/values-emitter.ts';
import type { EventClass } from '../ctf/trace-class.ts';
import type { LineFormat, StreamFacts } from './line-format.ts';
import { FoldEmitter } from './skip-emitter.ts';
import type { TextBuffer } from './text/text-buffer.ts';
import type { Trace } from './trace.ts';

export class EventCode {
  readonly event: EventClass;
  /** Lines are written for it. */
  readonly wanted: boolean;
  readonly #stream: StreamCode;
  #values: Decode<ScopeValues> | undefined;
  readonly #layout: EventLayout;
  #render: Decode<TextBuffer> | undefined;
  #skip: Decode<undefined> | undefined;

  constructor(stream: StreamCode, layout: EventLayout, wanted: boolean) {
    this.#stream = stream;
    this.#layout = layout;
    this.event = layout.event;
    this.wanted = wanted;
  }

  get render(): Decode<TextBuffer> {
    if (this.#render === undefined) {
      const { layout, format, facts } = this.#stream;
      this.#render = compileBody(layout, this.#layout, format.body(facts, this.event));
    }
    return this.#render;
  }

  /** All that is shown of it, as values. */
  get values(): Decode<ScopeValues> {
    this.#values ??= compileBody(this.#stream.layout, this.#layout, (code) => new ValuesEmitter(code));
    return this.#values;
  }

  get skip(): Decode<undefined> {
    this.#skip ??= compileBody(this.#stream.layout, this.#layout, (code) => new FoldEmitter(code));
    return this.#skip;
  }
}

export class StreamCode {
  readonly layout: StreamLayout;
  readonly format: LineFormat;
  readonly facts: StreamFacts;
  readonly packet: Decode<TextBuffer>;
  readonly header: Decode<undefined>;
  #packetValues: Decode<ScopeValues> | undefined;
  readonly #events = new Map<number, EventCode>();
  readonly #largeIds = new Map<bigint, EventCode>();
  /** Where headers do not say it: the only class there is. */
  readonly #only: EventCode | undefined;
  readonly #hasIds: boolean;

  /** `wants`: which events lines are written for. */
  constructor(trace: Trace, layout: StreamLayout, format: LineFormat, wants: (event: EventClass) => boolean) {
    this.layout = layout;
    this.format = format;
    const { packetContext } = layout;
    this.facts = {
      trace,
      streamClassId: layout.stream.id,
      hasClock: layout.clock !== undefined,
      hasPacketText: packetContext?.shown === true,
    };
    this.packet = compilePacket(layout, format.packet(this.facts));
    this.header = compileHeader(layout, (code) => new FoldEmitter(code));
    this.#hasIds = layout.eventHeader !== undefined && holdsId(layout.eventHeader);
    for (const [id, event] of layout.events) {
      const code = new EventCode(this, event, wants(event.event));
      if (id < 2n ** 32n) this.#events.set(Number(id), code);
      else this.#largeIds.set(id, code);
    }
    const [only] = this.#events.values();
    this.#only = !this.#hasIds && layout.events.size === 1 ? only : undefined;
  }

  /** What is shown of a packet's context, as values. */
  get packetValues(): Decode<ScopeValues> {
    this.#packetValues ??= compilePacket(this.layout, (code) => new ValuesEmitter(code));
    return this.#packetValues;
  }

  /** The event class of an id in two words; undefined: there is none. */
  event(idHigh: number, idLow: number): EventCode | undefined {
    if (!this.#hasIds) return this.#only;
    if (idHigh === 0) return this.#events.get(idLow);
    return this.#largeIds.get((BigInt(idHigh >>> 0) << 32n) | BigInt(idLow >>> 0));
  }
}

function holdsId(field: Field): boolean {
  switch (field.kind) {
    case 'integer':
      return field.role === 'eventId';
    case 'struct':
      return field.members.some(holdsId);
    case 'variant':
      return field.options.some((option) => holdsId(option.field));
    case 'array':
      return holdsId(field.element);
    case 'optional':
      return holdsId(field.field);
    default:
      return false;
  }
}
