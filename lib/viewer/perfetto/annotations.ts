/** Fields of events as debug annotations. */
import type { EnumValue, FieldStruct, FieldValue } from '../../ctf/decode/values.ts';
import type { InternedNames } from './interned-names.ts';
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
    return { nameIid: this.#names.of(name), ...this.#value(value) };
  }

  #value(value: FieldValue | Real): ProtoMessage {
    switch (typeof value) {
      case 'string':
        return { stringValue: value };
      case 'boolean':
        return { boolValue: value };
      case 'number':
        return { intValue: value };
      case 'bigint':
        return value > mostInt64 ? { uintValue: value } : { intValue: value };
      case 'object':
        if (value instanceof Real) return { doubleValue: value.value };
        if (Array.isArray(value)) return { arrayValues: value.map((each: FieldValue) => this.#value(each)) };
        if (isEnum(value)) {
          const labels = value.labels.map((label) => this.#value(label));
          return {
            dictEntries: [
              this.named('value', value.value),
              { nameIid: this.#names.of('labels'), arrayValues: labels },
            ],
          };
        }
        return { dictEntries: this.members(value as FieldStruct) };
      default:
        return {};
    }
  }
}

/** Structures have no prototype, whatever their members are called. */
function isEnum(value: object): value is EnumValue {
  return Object.getPrototypeOf(value) !== null;
}
