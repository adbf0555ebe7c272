/**
 * Walks the fields of a packet's header and context, and remembers integers for the lengths of sequences and the tags
 * of variants that need them. A path that begins with the name of a scope is absolute; any other is looked for in the
 * compound around the field and outwards. Source: ctf, "Lookups".
 */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { BitCursor } from './bit-cursor.ts';
import {
  aligned,
  type EnumType,
  type FieldPath,
  type FieldType,
  fixedSizeBits,
  type IntegerType,
  integerOf,
  type Member,
  type OptionalType,
  type Range,
  type SequenceType,
  type VariantType,
} from './field-types.ts';
import type { Role } from './roles.ts';

type Seen = { value: bigint; type: IntegerType | EnumType } | Compound;

/** The members of a structure that were decoded so far. */
export class Compound {
  readonly parent: Compound | undefined;
  readonly seen = new Map<string, Seen>();

  constructor(parent?: Compound) {
    this.parent = parent;
  }
}

const scopeNames: readonly string[] = ['trace.packet.header.', 'stream.packet.context.'];

/** What was found in fields with a role. `uuid` is a view of the packet. */
export type Found = Partial<Record<Exclude<Role, 'uuid'>, bigint>> & { uuid?: Buffer };

/** Decodes scopes one after the other. Errors: MR_ERR_CTF_SHORT, MR_ERR_CTF_PACKET. */
export class ScopeWalker {
  readonly found: Found = {};
  readonly #cursor: BitCursor;
  readonly #scopes = new Map<string, Compound>();
  #fields = 0;

  constructor(cursor: BitCursor) {
    this.#cursor = cursor;
  }

  /** Decodes a scope's structure. */
  walk(name: 'trace.packet.header.' | 'stream.packet.context.', type: FieldType | undefined): void {
    if (type?.kind !== 'struct') return;
    this.#cursor.align(type.alignBits);
    const scope = new Compound();
    this.#scopes.set(name, scope);
    this.#members(type.members, scope);
  }

  #members(members: readonly Member[], compound: Compound): void {
    for (const member of members) this.#member(member, compound);
  }

  #member({ name, type, role }: Member, compound: Compound): void {
    this.#count();
    if (role === 'uuid') {
      this.#cursor.align(type.alignBits);
      const start = this.#cursor.at / 8;
      this.#cursor.skip(128);
      this.found.uuid = this.#cursor.bytes.subarray(start, start + 16);
      return;
    }
    if (type.kind === 'integer' || type.kind === 'enum') {
      const value = this.#cursor.integer(integerOf(type) as IntegerType);
      compound.seen.set(name, { value, type });
      if (role !== undefined) this.found[role] = value;
      return;
    }
    if (type.kind === 'struct') {
      const inner = new Compound(compound);
      compound.seen.set(name, inner);
      this.#cursor.align(type.alignBits);
      this.#members(type.members, inner);
      return;
    }
    this.#pass(type, compound);
  }

  /** Passes over a field of which nothing is kept. */
  #pass(type: FieldType, compound: Compound): void {
    this.#count();
    this.#cursor.align(type.alignBits);
    const size = fixedSizeBits(type);
    if (size !== undefined) this.#cursor.skip(size);
    else if (type.kind === 'integer' || type.kind === 'enum')
      this.#cursor.integer(integerOf(type) as IntegerType);
    else if (type.kind === 'string') this.#cursor.skipString();
    else if (type.kind === 'struct') this.#members(type.members, new Compound(compound));
    else if (type.kind === 'array') this.#elements(type.element, type.length, compound);
    else if (type.kind === 'sequence') this.#elements(type.element, this.#length(type, compound), compound);
    else if (type.kind === 'variant') this.#member(this.#option(type, compound), new Compound(compound));
    else if (type.kind === 'optional' && this.#isThere(type, compound)) this.#pass(type.field, compound);
  }

  #elements(element: FieldType, length: number, compound: Compound): void {
    const size = fixedSizeBits(element);
    if (size === undefined) {
      for (let i = 0; i < length; i++) this.#pass(element, compound);
    } else if (length > 0) {
      this.#cursor.skip((length - 1) * aligned(size, element.alignBits) + size);
    }
  }

  #length({ lengthPath }: SequenceType, compound: Compound): number {
    const { value } = this.#look(lengthPath, compound);
    if (value < 0n) throw refused(`a sequence of ${value} elements`);
    return Number(value);
  }

  /** Where several options match, the first one counts. */
  #option({ tagPath, options }: VariantType, compound: Compound): Member {
    const { value, type } = this.#look(tagPath, compound);
    const labels = type.kind === 'enum' ? type.labels : [];
    const selected = new Set(labels.filter((l) => lies(value, l)).map((l) => l.label));
    const option = options.find(({ name, ranges }) =>
      ranges === undefined ? selected.has(name) : ranges.some((range) => lies(value, range)),
    );
    if (option === undefined) throw refused(`no option of a variant for tag ${value}`);
    return option;
  }

  #isThere({ selectorPath, ranges }: OptionalType, compound: Compound): boolean {
    const { value } = this.#look(selectorPath, compound);
    return ranges === undefined ? value !== 0n : ranges.some((range) => lies(value, range));
  }

  #look(path: FieldPath, compound: Compound): Exclude<Seen, Compound> {
    const text = path.join('.');
    const scope = scopeNames.find((name) => text.startsWith(name));
    const found =
      path[0] === null
        ? from(compound, path.slice(1))
        : scope === undefined
          ? this.#relative(path, compound)
          : descend(this.#scopes.get(scope), path.slice(scope.split('.').length - 1));
    if (found === undefined || found instanceof Compound) throw refused(`field ${text} is not there`);
    return found;
  }

  #relative(path: FieldPath, compound: Compound): Seen | undefined {
    for (let at: Compound | undefined = compound; at !== undefined; at = at.parent)
      if (at.seen.has(path[0] as string)) return descend(at, path);
    return undefined;
  }

  /** Types that name each other can make few words into any number of fields. */
  #count(): void {
    this.#fields += 1;
    if (this.#fields > limits.packetHeaderFields)
      throw refused(`more than ${limits.packetHeaderFields} fields in its header and context`);
  }
}

function descend(from: Compound | undefined, path: FieldPath): Seen | undefined {
  let at: Seen | undefined = from;
  for (const word of path) at = at instanceof Compound && word !== null ? at.seen.get(word) : undefined;
  return at;
}

/** A path of CTF 2 from the structure around a field: null goes up. */
function from(compound: Compound, path: FieldPath): Seen | undefined {
  let at: Seen | undefined = compound;
  for (const word of path) {
    if (!(at instanceof Compound)) return undefined;
    at = word === null ? at.parent : at.seen.get(word);
  }
  return at;
}

function lies(value: bigint, { low, high }: Range): boolean {
  return low <= value && value <= high;
}

function refused(why: string): MillraceError {
  return new MillraceError('MR_ERR_CTF_PACKET', { why });
}
