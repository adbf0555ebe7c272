/**
 * Field classes of CTF 2 that headers and contexts of packets are made of. Source: ctf, "Field classes". What no
 * tracer puts there (blobs and strings of variable length, LEB128, optional fields, variants) is refused by name.
 */
import type { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { ArrayType, FieldType, IntegerType, Member, StructType } from '../field-types.ts';
import { fitsRole, type PacketScope, type Role, rolesOfCtf2 } from '../roles.ts';
import { quoted } from './lexer.ts';

/** An object of JSON: members are looked at before they are believed. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const byte: IntegerType = {
  kind: 'integer',
  sizeBits: 8,
  alignBits: 8,
  signed: false,
  byteOrder: 'little',
  base: 10,
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

  /** The type of a field class as it stands in a scope. */
  typeOf(fieldClass: unknown, scope: PacketScope): FieldType {
    this.#depth += 1;
    if (this.#depth > limits.metadataDepth) throw this.#error(`nested deeper than ${limits.metadataDepth}`);
    const type = this.#spelledOut(this.#object(this.#resolve(fieldClass)), scope);
    this.#depth -= 1;
    return type;
  }

  #resolve(fieldClass: unknown): unknown {
    if (typeof fieldClass !== 'string') return fieldClass;
    if (!this.#aliases.has(fieldClass)) throw this.#error(`alias ${quoted(fieldClass)} is not declared`);
    return this.#aliases.get(fieldClass);
  }

  #spelledOut(fieldClass: JsonObject, scope: PacketScope): FieldType {
    const type = String(fieldClass.type);
    switch (type) {
      case 'fixed-length-bit-array':
      case 'fixed-length-bit-map':
      case 'fixed-length-boolean':
      case 'fixed-length-unsigned-integer':
      case 'fixed-length-floating-point-number':
      case 'fixed-length-signed-integer':
        return this.#integer(fieldClass, type === 'fixed-length-signed-integer');
      case 'null-terminated-string':
        return { kind: 'string', alignBits: 8 };
      case 'static-length-string':
      case 'static-length-blob':
        return this.#array(byte, fieldClass);
      case 'static-length-array':
        return this.#array(this.typeOf(fieldClass['element-field-class'], scope), fieldClass);
      case 'structure':
        return this.#struct(fieldClass, scope);
      default:
        throw this.#error(`field class ${quoted(type)} is not known in a packet's header or context`);
    }
  }

  #integer(fieldClass: JsonObject, signed: boolean): IntegerType {
    const byteOrder = { 'big-endian': 'big', 'little-endian': 'little' } as const;
    const order = fieldClass['byte-order'];
    if (order !== 'big-endian' && order !== 'little-endian')
      throw this.#error('an integer without a byte order');
    const usual = order === 'little-endian' ? 'first-to-last' : 'last-to-first';
    if ((fieldClass['bit-order'] ?? usual) !== usual) throw this.#error('bits in an order that is not known');
    return {
      kind: 'integer',
      sizeBits: this.#whole(fieldClass, 'length', 1, 64),
      alignBits: this.#alignment(fieldClass, 'alignment'),
      signed,
      byteOrder: byteOrder[order],
      base: 10,
    };
  }

  #array(element: FieldType, fieldClass: JsonObject): ArrayType {
    const length = this.#whole(fieldClass, 'length', 0, Number.MAX_SAFE_INTEGER);
    const alignBits = Math.max(element.alignBits, this.#alignment(fieldClass, 'minimum-alignment'));
    return { kind: 'array', element, length, alignBits };
  }

  #struct(fieldClass: JsonObject, scope: PacketScope): StructType {
    const given = fieldClass['member-classes'] ?? [];
    if (!Array.isArray(given)) throw this.#error('the members of a structure are no list');
    const members = given.map((member: unknown, index): Member => {
      const { name, 'field-class': inner } = this.#object(member);
      const resolved = this.#object(this.#resolve(inner));
      const type = this.typeOf(resolved, scope);
      const role = this.#role(resolved.roles, scope);
      if (role !== undefined && !fitsRole(role, type, index))
        throw this.#error(`${quoted(String(name))} has not the type that its role needs`);
      return { name: String(name), type, ...(role && { role }) };
    });
    const least = this.#alignment(fieldClass, 'minimum-alignment');
    const alignBits = members.reduce((most, { type }) => Math.max(most, type.alignBits), least);
    return { kind: 'struct', members, alignBits };
  }

  #role(roles: unknown, scope: PacketScope): Role | undefined {
    if (!Array.isArray(roles)) return undefined;
    return roles.map((role) => rolesOfCtf2[scope].get(String(role))).find((role) => role !== undefined);
  }

  #alignment(fieldClass: JsonObject, name: string): number {
    if (fieldClass[name] === undefined) return 1;
    const bits = this.#whole(fieldClass, name, 1, 2 ** 30);
    if (!Number.isInteger(Math.log2(bits))) throw this.#error(`${name} ${bits} is no power of two`);
    return bits;
  }

  #whole(fieldClass: JsonObject, name: string, least: number, most: number): number {
    const value = fieldClass[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
      throw this.#error(`${name} is ${quoted(String(value))}, not a whole number from ${least} to ${most}`);
    return value;
  }

  #object(value: unknown): JsonObject {
    if (!isObject(value)) throw this.#error('a field class that is no object');
    return value;
  }
}
