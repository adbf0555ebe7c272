/** Field classes of CTF 2. Source: ctf, "Field classes", "Roles". */
import type { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type {
  Encoding,
  EnumType,
  FieldPath,
  FieldType,
  FloatType,
  IntegerType,
  Member,
  Range,
  StructType,
} from '../field-types.ts';
import { clockRoles, fitsRole, type Role, rolesOfCtf2, type ScopeName } from '../roles.ts';
import { integerOf, isObject, type JsonObject, wholeOf, wordOf } from './json-values.ts';
import { quoted } from './lexer.ts';

/** Where a field class stands. `clock`: the default clock of the stream. */
export interface JsonScope {
  scope: ScopeName;
  clock?: string | undefined;
}

const byte: IntegerType = {
  kind: 'integer',
  sizeBits: 8,
  alignBits: 8,
  signed: false,
  byteOrder: 'little',
  base: 10,
};

const encodings: Readonly<Record<string, Encoding>> = {
  'utf-8': 'utf8',
  'utf-16le': 'utf16le',
  'utf-16be': 'utf16be',
  'utf-32le': 'utf32le',
  'utf-32be': 'utf32be',
};

/** A scope's name as a path begins with it, for both versions of the format. */
const origins: Readonly<Record<string, readonly string[]>> = {
  'packet-header': ['trace', 'packet', 'header'],
  'packet-context': ['stream', 'packet', 'context'],
  'event-record-header': ['stream', 'event', 'header'],
  'event-record-common-context': ['stream', 'event', 'context'],
  'event-record-specific-context': ['event', 'context'],
  'event-record-payload': ['event', 'fields'],
};

/** Field classes by name, and types from them. Errors: what `error` makes. */
export class JsonTypes {
  readonly #aliases = new Map<string, unknown>();
  readonly #error: (why: string) => MillraceError;
  #depth = 0;

  constructor(error: (why: string) => MillraceError) {
    this.#error = error;
  }

  /** Takes up a `field-class-alias`; its class is looked at when it is used. */
  define(name: unknown, fieldClass: unknown): void {
    if (typeof name !== 'string') throw this.#error('an alias without a name');
    if (this.#aliases.has(name)) throw this.#error(`alias ${quoted(name)} is declared twice`);
    this.#aliases.set(name, this.#resolve(fieldClass));
  }

  /** The structure of a scope, where there is one. */
  structOf(fieldClass: unknown, place: JsonScope): StructType | undefined {
    if (fieldClass === undefined) return undefined;
    const type = this.typeOf(fieldClass, place);
    if (type.kind !== 'struct') throw this.#error(`the ${place.scope} is no structure`);
    return type;
  }

  /** The type of a field class as it stands in a scope. */
  typeOf(fieldClass: unknown, place: JsonScope): FieldType {
    this.#depth += 1;
    if (this.#depth > limits.metadataDepth) throw this.#error(`nested deeper than ${limits.metadataDepth}`);
    const type = this.#spelledOut(this.#object(this.#resolve(fieldClass)), place);
    this.#depth -= 1;
    return type;
  }

  #resolve(fieldClass: unknown): unknown {
    if (typeof fieldClass !== 'string') return fieldClass;
    if (!this.#aliases.has(fieldClass)) throw this.#error(`alias ${quoted(fieldClass)} is not declared`);
    return this.#aliases.get(fieldClass);
  }

  #spelledOut(given: JsonObject, place: JsonScope): FieldType {
    const type = String(given.type);
    switch (type) {
      case 'fixed-length-bit-array':
      case 'fixed-length-bit-map':
        return { ...this.#integer(given, false), base: 16 };
      case 'fixed-length-boolean':
        return { ...this.#integer(given, false), boolean: true };
      case 'fixed-length-unsigned-integer':
      case 'fixed-length-signed-integer':
        return this.#mapped(given, this.#integer(given, type === 'fixed-length-signed-integer'));
      case 'variable-length-unsigned-integer':
      case 'variable-length-signed-integer':
        return this.#mapped(given, {
          ...byte,
          sizeBits: 64,
          signed: type === 'variable-length-signed-integer',
          base: this.#base(given),
          leb128: true,
        });
      case 'fixed-length-floating-point-number':
        return this.#float(given);
      case 'null-terminated-string': {
        const encoding = this.#encoding(given);
        return { kind: 'string', alignBits: 8, ...(encoding !== 'utf8' && { encoding }) };
      }
      case 'static-length-string':
        return this.#array({ ...byte, encoding: this.#encoding(given) }, given);
      case 'dynamic-length-string':
        return this.#sequence({ ...byte, encoding: this.#encoding(given) }, given);
      case 'static-length-blob':
        return this.#array({ ...byte, base: 16 }, given);
      case 'dynamic-length-blob':
        return this.#sequence({ ...byte, base: 16 }, given);
      case 'static-length-array':
        return this.#array(this.typeOf(given['element-field-class'], place), given);
      case 'dynamic-length-array':
        return this.#sequence(this.typeOf(given['element-field-class'], place), given);
      case 'structure':
        return this.#struct(given, place);
      case 'variant':
        return {
          kind: 'variant',
          tagPath: this.#path(given['selector-field-location']),
          options: this.#list(given.options).map((option, i) => this.#option(option, i, place)),
          alignBits: 1,
        };
      case 'optional': {
        const ranges = given['selector-field-ranges'];
        return {
          kind: 'optional',
          selectorPath: this.#path(given['selector-field-location']),
          ...(ranges !== undefined && { ranges: this.#ranges(ranges) }),
          field: this.typeOf(given['field-class'], place),
          alignBits: 1,
        };
      }
      default:
        throw this.#error(`field class ${quoted(type)} is not known`);
    }
  }

  #integer(given: JsonObject, signed: boolean): IntegerType {
    return {
      kind: 'integer',
      sizeBits: this.#whole(given, 'length', 1, 64),
      alignBits: this.#alignment(given, 'alignment'),
      signed,
      byteOrder: this.#byteOrder(given),
      base: this.#base(given),
    };
  }

  #byteOrder(given: JsonObject): 'little' | 'big' {
    const order = given['byte-order'];
    if (order !== 'big-endian' && order !== 'little-endian')
      throw this.#error('a number without a byte order');
    const usual = order === 'little-endian' ? 'first-to-last' : 'last-to-first';
    if ((given['bit-order'] ?? usual) !== usual) throw this.#error('bits in an order that is not known');
    return order === 'big-endian' ? 'big' : 'little';
  }

  #base(given: JsonObject): IntegerType['base'] {
    const base = given['preferred-display-base'] ?? 10;
    if (base !== 2 && base !== 8 && base !== 10 && base !== 16)
      throw this.#error(`preferred-display-base is ${quoted(wordOf(base))}`);
    return base;
  }

  #float(given: JsonObject): FloatType {
    const sizeBits = given.length;
    if (sizeBits !== 16 && sizeBits !== 32 && sizeBits !== 64)
      throw this.#error(`floating point numbers of ${quoted(String(sizeBits))} bits`);
    const alignBits = this.#alignment(given, 'alignment');
    return { kind: 'float', sizeBits, alignBits, byteOrder: this.#byteOrder(given) };
  }

  #mapped(given: JsonObject, container: IntegerType): IntegerType | EnumType {
    const { mappings } = given;
    if (mappings === undefined) return container;
    const labels = Object.entries(this.#object(mappings)).flatMap(([label, ranges]) =>
      this.#ranges(ranges).map((range) => ({ label, ...range })),
    );
    return { kind: 'enum', container, labels, alignBits: container.alignBits };
  }

  #ranges(given: unknown): Range[] {
    return this.#list(given).map((pair) => {
      const [low, high] = this.#list(pair).map(integerOf);
      if (low === undefined || high === undefined || high < low) throw this.#error('a range that is none');
      return { low, high };
    });
  }

  #encoding(given: JsonObject): Encoding {
    const word = wordOf(given.encoding ?? 'utf-8');
    const encoding = Object.hasOwn(encodings, word) ? encodings[word] : undefined;
    if (encoding === undefined) throw this.#error(`encoding ${quoted(word)} is not known`);
    return encoding;
  }

  #array(element: FieldType, given: JsonObject): FieldType {
    const length = this.#whole(given, 'length', 0, Number.MAX_SAFE_INTEGER);
    return { kind: 'array', element, length, alignBits: this.#arrayAlignment(element, given) };
  }

  #sequence(element: FieldType, given: JsonObject): FieldType {
    const lengthPath = this.#path(given['length-field-location']);
    return { kind: 'sequence', element, lengthPath, alignBits: this.#arrayAlignment(element, given) };
  }

  #arrayAlignment(element: FieldType, given: JsonObject): number {
    return Math.max(element.alignBits, this.#alignment(given, 'minimum-alignment'));
  }

  #path(location: unknown): FieldPath {
    const { origin, path } = this.#object(location);
    const words = this.#list(path);
    if (!words.every((word) => typeof word === 'string' || word === null))
      throw this.#error('the path to a field is no list of names');
    const steps = words as FieldPath;
    if (origin === undefined) return [null, ...steps];
    const word = wordOf(origin);
    const start = Object.hasOwn(origins, word) ? origins[word] : undefined;
    if (start === undefined) throw this.#error(`origin ${quoted(word)} is not known`);
    return [...start, ...steps];
  }

  #struct(given: JsonObject, place: JsonScope): StructType {
    const members = this.#list(given['member-classes'] ?? []).map((member, index) => {
      const { name, 'field-class': inner } = this.#object(member);
      return this.#member(String(name), inner, index, place);
    });
    const least = this.#alignment(given, 'minimum-alignment');
    const alignBits = members.reduce((most, { type }) => Math.max(most, type.alignBits), least);
    return { kind: 'struct', members, alignBits };
  }

  #option(option: unknown, index: number, place: JsonScope): Member {
    const given = this.#object(option);
    const member = this.#member(wordOf(given.name ?? index), given['field-class'], index, place);
    return { ...member, ranges: this.#ranges(given['selector-field-ranges']) };
  }

  #member(name: string, fieldClass: unknown, index: number, place: JsonScope): Member {
    const resolved = this.#object(this.#resolve(fieldClass));
    const type = this.typeOf(resolved, place);
    const role = this.#role(resolved.roles, place.scope);
    if (role === undefined) return { name, type };
    if (!fitsRole(role, type, index))
      throw this.#error(`${quoted(name)} has not the type that its role needs`);
    return { name, role, type: withClock(type, role, place.clock) };
  }

  #role(roles: unknown, scope: ScopeName): Role | undefined {
    if (!Array.isArray(roles) || !Object.hasOwn(rolesOfCtf2, scope)) return undefined;
    const known = rolesOfCtf2[scope as keyof typeof rolesOfCtf2];
    return roles.map((role) => known.get(String(role))).find((role) => role !== undefined);
  }

  #alignment(given: JsonObject, name: string): number {
    if (given[name] === undefined) return 1;
    const bits = this.#whole(given, name, 1, 2 ** 30);
    if (!Number.isInteger(Math.log2(bits))) throw this.#error(`${name} ${bits} is no power of two`);
    return bits;
  }

  #whole(given: JsonObject, name: string, least: number, most: number): number {
    return wholeOf(given[name], name, least, most, this.#error);
  }

  #object(value: unknown): JsonObject {
    if (!isObject(value)) throw this.#error('a field class that is no object');
    return value;
  }

  #list(value: unknown): readonly unknown[] {
    if (!Array.isArray(value)) throw this.#error('no list where there must be one');
    return value;
  }
}

function withClock(type: FieldType, role: Role, clock: string | undefined): FieldType {
  if (clock === undefined || !clockRoles.has(role)) return type;
  if (type.kind === 'integer') return { ...type, clock };
  return type.kind === 'enum' ? { ...type, container: { ...type.container, clock } } : type;
}
