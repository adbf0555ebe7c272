/** Fields of events as debug annotations. */
import type { EnumValue, FieldStruct, FieldValue } from '../../ctf/decode/values.ts';
import type { InternedNames } from './interned-data.ts';
import type { ProtoMessage } from './proto-writer.ts';
import { Real } from './scopes-emitter.ts';

const mostInt64 = 2n ** 63n - 1n;

export class Annotations {
  readonly #names: InternedNames;

  constructor(names: InternedNames) {
    this.#names = names;
  }

  /** One for each member that is there. */
  members(struct: FieldStruct): ProtoMessage[] {
    const found: ProtoMessage[] = [];
    for (const name in struct) {
      const value = struct[name];
      if (value !== undefined) found.push(this.named(name, value));
    }
    return found;
  }

  named(name: string, value: FieldValue): ProtoMessage {
    return this.#annotation(this.#names.of(name), value);
  }

  /** Elements of arrays have no names. */
  #annotation(nameIid: number | undefined, value: FieldValue | Real): ProtoMessage {
    switch (typeof value) {
      case 'string':
        return { nameIid, stringValue: value };
      case 'boolean':
        return { nameIid, boolValue: value };
      case 'number':
        return { nameIid, intValue: value };
      case 'bigint':
        return value > mostInt64 ? { nameIid, uintValue: value } : { nameIid, intValue: value };
      case 'object':
        if (value instanceof Real) return { nameIid, doubleValue: value.value };
        if (Array.isArray(value)) return { nameIid, arrayValues: this.#elements(value as FieldValue[]) };
        if (isEnum(value)) {
          const labels = { nameIid: this.#names.of('labels'), arrayValues: this.#elements(value.labels) };
          return { nameIid, dictEntries: [this.named('value', value.value), labels] };
        }
        return { nameIid, dictEntries: this.members(value as FieldStruct) };
      default:
        return { nameIid };
    }
  }

  #elements(values: readonly FieldValue[]): ProtoMessage[] {
    return values.map((each) => this.#annotation(undefined, each));
  }
}

/** Structures have no prototype, whatever their members are called. */
function isEnum(value: object): value is EnumValue {
  return Object.getPrototypeOf(value) !== null;
}
