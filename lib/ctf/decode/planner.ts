/**
 * Makes layouts from a trace class: spells types out, finds what lengths and tags refer to, and says what is shown.
 * Source: ctf, "Names", "Lookups" and "Scopes".
 */
import { MillraceError, printable } from '../../errors.ts';
import { limits } from '../../limits.ts';
import {
  type FieldPath,
  type FieldType,
  integerOf,
  type Member,
  type Range,
  type StructType,
} from '../field-types.ts';
import type { ScopeName } from '../roles.ts';
import type { EventClass, StreamClass, TraceClass } from '../trace-class.ts';
import type {
  ArrayField,
  EventLayout,
  Field,
  IntegerField,
  Slot,
  StreamLayout,
  StructField,
  VariantField,
} from './layout.ts';
import { stepOf } from './layout.ts';
import { markShown } from './shown.ts';

/** A structure, variant, array or optional that is being spelled out, and what is around it. */
interface Around {
  field: Field;
  outer: Around | undefined;
}

const absolute: readonly (readonly [ScopeName, readonly string[]])[] = [
  ['packetHeader', ['trace', 'packet', 'header']],
  ['packetContext', ['stream', 'packet', 'context']],
  ['eventHeader', ['stream', 'event', 'header']],
  ['eventCommonContext', ['stream', 'event', 'context']],
  ['eventContext', ['event', 'context']],
  ['eventPayload', ['event', 'fields']],
];

/**
 * The layout of every stream class of a trace, by id. Errors: MR_ERR_CTF_LAYOUT: a length or tag that is not there or
 * has a wrong type, more fields than `limits.layoutFields`, two clocks in one stream.
 */
export function layoutsOf(trace: TraceClass): ReadonlyMap<bigint, StreamLayout> {
  const layouts = new Map<bigint, StreamLayout>();
  const budget = { fields: limits.layoutFields };
  for (const stream of trace.streams.values())
    layouts.set(stream.id, new StreamPlanner(trace, stream, budget).plan());
  return layouts;
}

class StreamPlanner {
  readonly #trace: TraceClass;
  readonly #stream: StreamClass;
  readonly #budget: { fields: number };
  readonly #roots = new Map<ScopeName, StructField>();
  readonly #scopeOf = new Map<Field, ScopeName>();
  #scope: ScopeName = 'packetHeader';
  #event: EventClass | undefined;
  #sharedSlots = 0;
  #clock: string | undefined;

  constructor(trace: TraceClass, stream: StreamClass, budget: { fields: number }) {
    this.#trace = trace;
    this.#stream = stream;
    this.#budget = budget;
  }

  plan(): StreamLayout {
    const { packetContext, eventHeader, eventContext, events } = this.#stream;
    const scopes = {
      packetHeader: this.#root('packetHeader', this.#trace.packetHeader),
      packetContext: this.#root('packetContext', packetContext),
      eventHeader: this.#root('eventHeader', eventHeader),
      eventContext: this.#root('eventCommonContext', eventContext),
    };
    const eventLayouts = new Map<bigint, EventLayout>();
    for (const event of events.values()) {
      this.#event = event;
      eventLayouts.set(event.id, {
        event,
        context: this.#root('eventContext', event.context),
        payload: this.#root('eventPayload', event.payload),
      });
      this.#roots.delete('eventContext');
      this.#roots.delete('eventPayload');
    }
    const layout: StreamLayout = {
      stream: this.#stream,
      clock: this.#clock === undefined ? undefined : this.#trace.clocks.get(this.#clock),
      ...scopes,
      events: eventLayouts,
      sharedSlots: this.#sharedSlots,
    };
    markShown(layout);
    return layout;
  }

  #root(scope: ScopeName, type: StructType | undefined): StructField | undefined {
    if (type === undefined) return undefined;
    this.#scope = scope;
    const root = { kind: 'struct', members: [], ...this.#common('', '', type) } as StructField;
    this.#roots.set(scope, root);
    this.#members(root, type.members, undefined, type.underscoresLost ?? 0);
    return root;
  }

  #common(declaredName: string, name: string, type: FieldType) {
    this.#budget.fields -= 1;
    if (this.#budget.fields < 0) throw this.#error(`more than ${limits.layoutFields} fields`);
    return { declaredName, name, shown: true, type, alignBits: type.alignBits };
  }

  #members(struct: StructField, members: readonly Member[], outer: Around | undefined, lost: number): void {
    const around = { field: struct, outer };
    for (const member of members) this.#field(member, around, lost, (field) => struct.members.push(field));
  }

  /** `place` puts the field into its compound before what is inside is looked at: lookups may come from there. */
  #field({ name, type, role }: Member, around: Around, lost: number, place: (field: Field) => void): void {
    const common = this.#common(name, this.#shownName(name, lost), type);
    const inside = lost + ('underscoresLost' in type ? (type.underscoresLost ?? 0) : 0);
    switch (type.kind) {
      case 'integer':
      case 'enum': {
        const integer = integerOf(type);
        if (integer === undefined) return;
        const labels = type.kind === 'enum' ? type.labels : undefined;
        this.#useClock(integer.signed ? undefined : integer.clock);
        const field: IntegerField = { kind: 'integer', ...common, integer, labels, role, slot: undefined };
        this.#scopeOf.set(field, this.#scope);
        place(field);
        return;
      }
      case 'float':
        place({ kind: 'float', ...common, float: type });
        return;
      case 'string':
        place({ kind: 'string', ...common, encoding: type.encoding ?? 'utf8' });
        return;
      case 'struct': {
        const field: StructField = { kind: 'struct', ...common, members: [] };
        place(field);
        this.#members(field, type.members, around, inside);
        return;
      }
      case 'array':
      case 'sequence': {
        const length = type.kind === 'array' ? type.length : this.#slot(type.lengthPath, around, 'length');
        const { element } = type;
        if (
          element.kind === 'integer' &&
          element.encoding &&
          element.sizeBits === 8 &&
          element.alignBits === 8
        ) {
          place({ kind: 'text', ...common, encoding: element.encoding, length });
          return;
        }
        const field = { kind: 'array', ...common, length } as ArrayField;
        place(field);
        this.#field({ name: '', type: element }, { field, outer: around }, inside, (made) => {
          field.element = made;
        });
        return;
      }
      case 'variant': {
        const tag = this.#slot(type.tagPath, around, 'tag');
        const field: VariantField = { kind: 'variant', ...common, tag, options: [] };
        place(field);
        for (const option of type.options)
          this.#field(option, { field, outer: around }, inside, (made) =>
            field.options.push({ field: made, ranges: option.ranges ?? rangesOf(tag, option.name) }),
          );
        return;
      }
      case 'optional': {
        const selector = this.#slot(type.selectorPath, around, 'selector');
        const optional = { kind: 'optional', ...common, selector, ranges: type.ranges } as Extract<
          Field,
          { kind: 'optional' }
        >;
        place(optional);
        this.#field({ name: '', type: type.field }, { field: optional, outer: around }, inside, (made) => {
          optional.field = made;
        });
      }
    }
  }

  #shownName(name: string, lost: number): string {
    if (this.#trace.format === 'ctf-2') return name;
    let start = 0;
    while (start <= lost && name[start] === '_') start += 1;
    return name.slice(start);
  }

  #useClock(name: string | undefined): void {
    if (name === undefined) return;
    if (this.#clock !== undefined && this.#clock !== name)
      throw this.#error(`two clocks, ${quote(this.#clock)} and ${quote(name)}`);
    this.#clock = name;
  }

  #slot(path: FieldPath, around: Around, what: 'length' | 'tag' | 'selector'): Slot {
    const text = path.map((word) => word ?? '..').join('.');
    const field = this.#look(path, around);
    if (field?.kind !== 'integer')
      throw this.#error(`no integer ${quote(text)} before a ${what} that needs it`);
    if (what === 'length' && field.integer.signed)
      throw this.#error(`length ${quote(text)} is a signed integer`);
    if (what === 'tag' && this.#trace.format === 'ctf-1.8' && field.labels === undefined)
      throw this.#error(`tag ${quote(text)} is no enumeration`);
    const scope = this.#scopeOf.get(field) as ScopeName;
    field.slot ??= { field, scope, conditional: this.#isConditional(field), shared: undefined };
    if (stepOf(scope) !== stepOf(this.#scope)) field.slot.shared ??= this.#sharedSlots++;
    return field.slot;
  }

  #look(path: FieldPath, around: Around): Field | undefined {
    if (path[0] === null) return this.#climb(path.slice(1), around);
    const scope = absolute.find(
      ([, words]) => path.length > words.length && words.every((w, i) => w === path[i]),
    );
    if (scope !== undefined) return descend(this.#roots.get(scope[0]), path.slice(scope[1].length));
    for (let at: Around | undefined = around; at !== undefined; at = at.outer) {
      const first = memberOf(at.field, path[0] as string);
      if (first !== undefined) return descend(first, path.slice(1));
    }
    return undefined;
  }

  /** CTF 2, relative: from the structure around the field; null goes up to the next one. */
  #climb(path: FieldPath, around: Around): Field | undefined {
    let at: Around | undefined = structAround(around);
    let step = 0;
    for (; path[step] === null; step++) at = structAround(at?.outer);
    return descend(at?.field, path.slice(step));
  }

  /** Whether the field lies in something that may be left out or repeated. */
  #isConditional(wanted: Field): boolean {
    const root = this.#roots.get(this.#scopeOf.get(wanted) as ScopeName);
    const isPlain = (field: Field | undefined): boolean =>
      field?.kind === 'struct' && field.members.some((member) => member === wanted || isPlain(member));
    return !isPlain(root);
  }

  #error(why: string): MillraceError {
    const event = this.#event === undefined ? '' : `, event ${quote(this.#event.name)}`;
    return new MillraceError('MR_ERR_CTF_LAYOUT', {
      where: `stream ${this.#stream.id}${event}, ${this.#scope}`,
      why,
    });
  }
}

function structAround(around: Around | undefined): Around | undefined {
  let at = around;
  while (at !== undefined && at.field.kind !== 'struct') at = at.outer;
  return at;
}

/** A member, or what a path passes through without naming it (CTF 2): the current element or option. */
function memberOf(field: Field, name: string): Field | undefined {
  if (field.kind === 'struct') return field.members.find(({ declaredName }) => declaredName === name);
  if (field.kind === 'variant') return field.options.find((o) => o.field.declaredName === name)?.field;
  return undefined;
}

function descend(from: Field | undefined, path: FieldPath): Field | undefined {
  let at = from;
  for (const word of path) {
    while (at?.kind === 'array' || at?.kind === 'optional') at = at.kind === 'array' ? at.element : at.field;
    at = at === undefined || word === null ? undefined : memberOf(at, word);
  }
  return at;
}

/** Values of an enumeration that select the option of this name. */
function rangesOf({ field }: Slot, name: string): Range[] {
  return (field.labels ?? []).filter(({ label }) => label === name);
}

function quote(text: string): string {
  return `"${printable(text, 60)}"`;
}
