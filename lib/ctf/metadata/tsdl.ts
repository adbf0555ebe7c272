/**
 * The meaning of TSDL. What counts is independent of the order of blocks. Source: ctf, "Order of evaluation" and
 * "Blocks".
 */
import type { MillraceError } from '../../errors.ts';
import type { StructType } from '../field-types.ts';
import {
  type ClockClass,
  type EventClass,
  type StreamClass,
  type TraceClass,
  uuidOf,
} from '../trace-class.ts';
import { type Block, BlockReader } from './block-reader.ts';
import { quoted } from './lexer.ts';
import { metadataError } from './metadata-text.ts';
import { parseTsdl } from './parser.ts';
import { type TraceFacts, traceByteOrder, truthOf, wordOf } from './scalar-types.ts';
import type { BlockKind, Item } from './syntax.ts';
import { structWithRoles } from './tsdl-roles.ts';
import { TypeScope } from './type-scope.ts';

/** What is kept: `packets` drops event classes while they are read, so that there may be any number of them. */
export type MetadataDepth = 'packets' | 'events';

/** Reads a TSDL text (Latin-1). Errors: MR_ERR_CTF_METADATA, with line and column. */
export function traceClassOfTsdl(text: string, depth: MetadataDepth = 'packets'): TraceClass {
  return new Reader(text, depth).read();
}

const implicitClock: ClockClass = {
  name: 'default',
  frequencyHz: 1_000_000_000n,
  offsetSeconds: 0n,
  offsetCycles: 0n,
  isAbsolute: false,
  uuid: undefined,
  description: undefined,
};

class Reader {
  readonly #text: string;
  readonly #blocks = new Map<BlockKind, BlockReader[]>();
  readonly #types: Exclude<Item, Block>[] = [];
  readonly #clocks = new Map<string, ClockClass>();
  #eventsWithoutStream = false;

  constructor(text: string, depth: MetadataDepth) {
    this.#text = text;
    for (const item of parseTsdl(text, depth === 'events')) {
      if (item.kind !== 'block') {
        this.#types.push(item);
        continue;
      }
      const reader = new BlockReader(item, (at, why) => this.#error(at, why));
      if (item.block === 'event') {
        this.#eventsWithoutStream ||= reader.value('stream_id') === undefined;
        if (depth === 'packets') continue;
      }
      const alike = this.#blocks.get(item.block);
      if (alike === undefined) this.#blocks.set(item.block, [reader]);
      else alike.push(reader);
    }
  }

  read(): TraceClass {
    const [trace, second] = this.#all('trace');
    if (trace === undefined) throw this.#error(0, 'no trace block');
    if (second !== undefined) throw second.error('a second trace block');
    checkVersion(trace);
    const environment = this.#environment();
    const byteOrder = byteOrderOf(trace);
    this.#readClocks();
    const facts: TraceFacts = {
      byteOrder,
      clocks: this.#clocks,
      environment,
      error: (at, why) => this.#error(at, why),
    };
    const scope = new TypeScope(facts);
    for (const item of this.#types) scope.declare(item);
    const packetHeader = this.#struct(trace, trace.types(scope).get('packet.header'), 'packetHeader');
    const streams = this.#streams(scope, packetHeader);
    return {
      format: 'ctf-1.8',
      uuid: traceUuid(trace),
      packetHeader,
      streams,
      clocks: this.#clocks,
      environment,
    };
  }

  #all(kind: BlockKind): readonly BlockReader[] {
    return this.#blocks.get(kind) ?? [];
  }

  #environment(): Map<string, bigint | string> {
    const environment = new Map<string, bigint | string>();
    for (const { block } of this.#all('env'))
      for (const entry of block.entries)
        if (entry.kind === 'value')
          environment.set(
            entry.name,
            entry.value.kind === 'integer' ? BigInt.asIntN(64, entry.value.value) : wordOf(entry.value),
          );
    return environment;
  }

  #readClocks(): void {
    for (const block of this.#all('clock')) {
      const name = block.text('name');
      if (name === undefined) throw block.error('a clock without a name');
      if (this.#clocks.has(name)) throw block.error(`a second clock ${quoted(name)}`);
      const absolute = block.value('absolute');
      const frequencyHz = block.integer('freq') ?? implicitClock.frequencyHz;
      if (frequencyHz <= 0n) throw block.error('a clock that does not move', block.value('freq'));
      this.#clocks.set(name, {
        name,
        frequencyHz,
        offsetSeconds: block.integer('offset_s') ?? 0n,
        offsetCycles: block.count('offset') ?? 0n,
        isAbsolute: absolute !== undefined && truthOf(absolute.value) === true,
        uuid: block.text('uuid')?.toLowerCase(),
        description: block.text('description'),
      });
    }
  }

  /** The clock of a time that names none. */
  #onlyClock(block: BlockReader): string {
    const [first, second] = this.#clocks.keys();
    if (second !== undefined) throw block.error('a time that names no clock, where there are several');
    if (first !== undefined) return first;
    this.#clocks.set(implicitClock.name, implicitClock);
    return implicitClock.name;
  }

  #struct(
    block: BlockReader,
    type: Parameters<typeof structWithRoles>[1],
    scope: Parameters<typeof structWithRoles>[2],
  ): StructType | undefined {
    return structWithRoles(block, type, scope, () => this.#onlyClock(block));
  }

  #streams(outer: TypeScope, packetHeader: StructType | undefined): Map<bigint, StreamClass> {
    const streams = new Map<bigint, StreamClass & { events: Map<bigint, EventClass> }>();
    const blocks = this.#all('stream');
    const hasIds = packetHeader?.members.some(({ role }) => role === 'streamClassId') === true;
    for (const block of blocks) {
      const id = block.count('id') ?? 0n;
      if (!hasIds && block.value('id') !== undefined)
        throw block.error('a stream with an id, which packets do not name', block.value('id'));
      if (streams.has(id)) throw block.error(`a second stream of id ${id}`);
      const types = block.types(outer);
      streams.set(id, {
        id,
        packetContext: this.#struct(block, types.get('packet.context'), 'packetContext'),
        eventHeader: this.#struct(block, types.get('event.header'), 'eventHeader'),
        eventContext: block.struct(types.get('event.context'), 'the context of events'),
        events: new Map(),
      });
    }
    // A trace without streams has one, if its events name none.
    if (blocks.length === 0 && this.#eventsWithoutStream)
      streams.set(0n, {
        id: 0n,
        packetContext: undefined,
        eventHeader: undefined,
        eventContext: undefined,
        events: new Map(),
      });
    for (const block of this.#all('event')) {
      const id = block.count('stream_id');
      const [only] = streams.values();
      const stream = id !== undefined ? streams.get(id) : streams.size === 1 ? only : undefined;
      if (stream === undefined)
        throw block.error(`an event of a stream that is not there${id === undefined ? '' : `: ${id}`}`);
      const event = eventClassOf(block, outer);
      if (stream.events.has(event.id)) throw block.error(`a second event of id ${event.id}`);
      stream.events.set(event.id, event);
    }
    return streams;
  }

  #error(at: number, why: string): MillraceError {
    return metadataError(this.#text, at, why);
  }
}

function checkVersion(trace: BlockReader): void {
  for (const [name, expected] of [
    ['major', '1'],
    ['minor', '8'],
  ] as const)
    if (trace.text(name) !== expected)
      throw trace.error(`${name} version is not ${expected}`, trace.value(name));
}

function byteOrderOf(trace: BlockReader) {
  const entry = trace.value('byte_order');
  const byteOrder = entry && traceByteOrder(entry.value);
  if (byteOrder === undefined) throw trace.error('the byte order is neither le nor be', entry);
  return byteOrder;
}

function traceUuid(trace: BlockReader): Buffer | undefined {
  const text = trace.text('uuid');
  if (text === undefined) return undefined;
  const uuid = uuidOf(text);
  if (uuid === undefined) throw trace.error(`${quoted(text)} is no UUID`, trace.value('uuid'));
  return uuid;
}

function eventClassOf(block: BlockReader, outer: TypeScope): EventClass {
  const name = block.text('name');
  if (name === undefined) throw block.error('an event without a name');
  const types = block.types(outer);
  const logLevel = block.value('loglevel')?.value;
  const known = logLevel?.kind === 'integer' && logLevel.value >= 0n && logLevel.value <= 14n;
  return {
    id: block.count('id') ?? 0n,
    name,
    logLevel: known ? Number(logLevel.value) : undefined,
    emfUri: block.text('model.emf.uri') || undefined,
    context: block.struct(types.get('context'), 'the context of an event'),
    payload: block.struct(types.get('fields'), 'the payload of an event'),
  };
}
