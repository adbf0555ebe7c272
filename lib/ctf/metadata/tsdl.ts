/**
 * The meaning of TSDL as far as packets are concerned: the trace block, clocks, environment and streams; events are
 * held against the grammar and dropped. What counts is independent of the order of blocks. Source: ctf, "Order of
 * evaluation" and "Blocks".
 */
import type { MillraceError } from '../../errors.ts';
import type { FieldType, StructType } from '../field-types.ts';
import { fitsRole, type PacketScope, rolesByName } from '../roles.ts';
import { type StreamClass, type TraceClass, uuidOf } from '../trace-class.ts';
import { quoted } from './lexer.ts';
import { metadataError } from './metadata-text.ts';
import { parseTsdl } from './parser.ts';
import { type TraceFacts, traceByteOrder, wordOf } from './scalar-types.ts';
import type { BlockKind, Entry, Item } from './syntax.ts';
import { TypeScope } from './type-scope.ts';

type Block = Extract<Item, { kind: 'block' }>;
type ValueEntry = Extract<Entry, { kind: 'value' }>;

/** Reads a TSDL text (Latin-1). Errors: MR_ERR_CTF_METADATA, with line and column. */
export function traceClassOfTsdl(text: string): TraceClass {
  return new Reader(text).read();
}

class Reader {
  readonly #text: string;
  readonly #blocks = new Map<BlockKind, Block[]>();
  readonly #types: Exclude<Item, Block>[] = [];
  #eventsWithoutStream = false;

  constructor(text: string) {
    this.#text = text;
    for (const item of parseTsdl(text)) {
      if (item.kind !== 'block') this.#types.push(item);
      else if (item.block === 'event')
        this.#eventsWithoutStream ||= !item.entries.some(
          (entry) => entry.kind === 'value' && entry.name === 'stream_id',
        );
      else {
        const alike = this.#blocks.get(item.block);
        if (alike === undefined) this.#blocks.set(item.block, [item]);
        else alike.push(item);
      }
    }
  }

  read(): TraceClass {
    const [trace, second] = this.#blocks.get('trace') ?? [];
    if (trace === undefined) throw this.#error(0, 'no trace block');
    if (second !== undefined) throw this.#error(second.at, 'a second trace block');
    this.#checkVersion(trace);
    const environment = this.#environment();
    const facts: TraceFacts = {
      byteOrder: this.#byteOrder(trace),
      clocks: this.#clocks(),
      environment,
      error: (at, why) => this.#error(at, why),
    };
    const scope = new TypeScope(facts);
    for (const item of this.#types) scope.declare(item);
    const { types } = this.#inside(trace, scope);
    const packetHeader = this.#scopeOf(types.get('packet.header'), 'packetHeader', trace.at);
    return {
      format: 'ctf-1.8',
      uuid: this.#uuid(trace),
      packetHeader,
      streams: this.#streams(scope, packetHeader),
      environment,
    };
  }

  #checkVersion(trace: Block): void {
    for (const [name, expected] of [
      ['major', '1'],
      ['minor', '8'],
    ] as const) {
      const entry = this.#value(trace, name);
      if (entry === undefined || wordOf(entry.value) !== expected)
        throw this.#error(entry?.at ?? trace.at, `${name} version is not ${expected}`);
    }
  }

  #byteOrder(trace: Block) {
    const entry = this.#value(trace, 'byte_order');
    const byteOrder = entry && traceByteOrder(entry.value);
    if (byteOrder === undefined)
      throw this.#error(entry?.at ?? trace.at, 'the byte order is neither le nor be');
    return byteOrder;
  }

  #uuid(trace: Block): Buffer | undefined {
    const entry = this.#value(trace, 'uuid');
    if (entry === undefined) return undefined;
    const uuid = uuidOf(wordOf(entry.value));
    if (uuid === undefined) throw this.#error(entry.at, `${quoted(wordOf(entry.value))} is no UUID`);
    return uuid;
  }

  #environment(): Map<string, bigint | string> {
    const environment = new Map<string, bigint | string>();
    for (const { entries } of this.#blocks.get('env') ?? [])
      for (const entry of entries)
        if (entry.kind === 'value')
          environment.set(
            entry.name,
            entry.value.kind === 'integer' ? entry.value.value : wordOf(entry.value),
          );
    return environment;
  }

  #clocks(): Set<string> {
    const clocks = new Set<string>();
    for (const block of this.#blocks.get('clock') ?? []) {
      const name = this.#value(block, 'name');
      if (name === undefined) throw this.#error(block.at, 'a clock without a name');
      clocks.add(wordOf(name.value));
    }
    return clocks;
  }

  #streams(outer: TypeScope, packetHeader: StructType | undefined): Map<bigint, StreamClass> {
    const streams = new Map<bigint, StreamClass>();
    const blocks = this.#blocks.get('stream') ?? [];
    const hasIds = packetHeader?.members.some(({ role }) => role === 'streamClassId') === true;
    for (const block of blocks) {
      const id = this.#streamId(block, hasIds);
      if (streams.has(id)) throw this.#error(block.at, `a second stream of id ${id}`);
      const { types } = this.#inside(block, outer);
      const packetContext = this.#scopeOf(types.get('packet.context'), 'packetContext', block.at);
      streams.set(id, { id, packetContext, hasEventHeader: types.has('event.header') });
    }
    // A trace without streams has one, if its events name none.
    if (blocks.length === 0 && this.#eventsWithoutStream)
      streams.set(0n, { id: 0n, packetContext: undefined, hasEventHeader: false });
    return streams;
  }

  #streamId(block: Block, hasIds: boolean): bigint {
    const entry = this.#value(block, 'id');
    if (entry === undefined) return 0n;
    if (entry.value.kind !== 'integer' || entry.value.value < 0n)
      throw this.#error(entry.at, 'the id of a stream is no integer');
    if (!hasIds) throw this.#error(entry.at, 'a stream with an id, which packets do not name');
    return entry.value.value;
  }

  /** The types that stand behind `:=` in a block. */
  #inside(block: Block, outer: TypeScope): { types: Map<string, FieldType> } {
    const scope = outer.inner();
    const types = new Map<string, FieldType>();
    for (const entry of block.entries) {
      if (entry.kind === 'typedef' || entry.kind === 'typealias') scope.declare(entry);
      if (entry.kind !== 'type') continue;
      if (types.has(entry.name)) throw this.#error(entry.at, `${quoted(entry.name)} twice`);
      types.set(entry.name, scope.typeOf(entry.type, entry.declarator));
    }
    return { types };
  }

  /** A scope's structure, with the roles that the names of its members give them. */
  #scopeOf(type: FieldType | undefined, scope: PacketScope, at: number): StructType | undefined {
    if (type === undefined) return undefined;
    if (type.kind !== 'struct') throw this.#error(at, `the ${scope} is no structure`);
    const members = type.members.map((member, index) => {
      const role = rolesByName[scope].get(member.name);
      if (role === undefined) return member;
      if (!fitsRole(role, member.type, index))
        throw this.#error(at, `${quoted(member.name)} has not the type that it must have`);
      return { ...member, role };
    });
    return { ...type, members };
  }

  #value(block: Block, name: string): ValueEntry | undefined {
    let found: ValueEntry | undefined;
    for (const entry of block.entries) {
      if (entry.kind !== 'value' || entry.name !== name) continue;
      if (found !== undefined) throw this.#error(entry.at, `${quoted(name)} twice`);
      found = entry;
    }
    return found;
  }

  #error(at: number, why: string): MillraceError {
    return metadataError(this.#text, at, why);
  }
}
