/** CTF 2 metadata: a sequence of JSON objects, each behind a record separator. Source: ctf, "CTF 2". */
import { type MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { StructType } from '../field-types.ts';
import {
  type ClockClass,
  type EventClass,
  type StreamClass,
  type TraceClass,
  uuidOf,
} from '../trace-class.ts';
import { JsonTypes } from './json-types.ts';
import { integerMember, integerOf, isObject, type JsonObject, parseJson, textMember } from './json-values.ts';
import { quoted } from './lexer.ts';
import { metadataError } from './metadata-text.ts';
import type { MetadataDepth } from './tsdl.ts';

const separator = '\x1e';

/** What LTTng calls its log levels, 0 to 14. Source: ctf, "LTTng's metadata". */
const logLevels =
  'emergency alert critical error warning notice info debug:system debug:program debug:process debug:module debug:unit debug:function debug:line debug'.split(
    ' ',
  );

/** Reads a CTF 2 metadata text (Latin-1). Errors: MR_ERR_CTF_METADATA, at the line of the fragment. */
export function traceClassOfJson(text: string, depth: MetadataDepth = 'packets'): TraceClass {
  return new Reader(text, depth).read();
}

class Reader {
  readonly #text: string;
  readonly #types: JsonTypes;
  readonly #depth: MetadataDepth;
  readonly #streams = new Map<bigint, StreamClass & { events: Map<bigint, EventClass> }>();
  readonly #clocks = new Map<string, ClockClass>();
  #at = 0;
  #uuid: Buffer | undefined;
  #trace: JsonObject | undefined;
  #packetHeader: StructType | undefined;
  #environment = new Map<string, bigint | string>();
  #preamble = false;
  #keptBytes = 0;

  constructor(text: string, depth: MetadataDepth) {
    this.#text = text;
    this.#depth = depth;
    this.#types = new JsonTypes((reason) => this.#error(reason));
  }

  read(): TraceClass {
    for (let at = this.#text.indexOf(separator); at >= 0; ) {
      const end = this.#text.indexOf(separator, at + 1);
      this.#at = at + 1;
      const fragment = this.#text.slice(at + 1, end < 0 ? undefined : end);
      if (fragment.trim() !== '') this.#take(this.#parse(fragment), fragment.length);
      at = end;
    }
    return {
      format: 'ctf-2',
      uuid: this.#uuid,
      packetHeader: this.#packetHeader,
      streams: this.#streams,
      clocks: this.#clocks,
      environment: this.#environment,
    };
  }

  #parse(fragment: string): JsonObject {
    const { metadataFragmentBytes: most } = limits;
    if (fragment.length > most)
      throw this.#error(`a fragment of ${fragment.length} bytes, at most ${most} are read`);
    this.#checkDepth(fragment);
    let value: unknown;
    try {
      value = parseJson(Buffer.from(fragment, 'latin1').toString());
    } catch (error) {
      throw this.#error(why(error));
    }
    if (!isObject(value)) throw this.#error('a fragment that is no object');
    return value;
  }

  /** Before the parser recurses; brackets in strings count too, which costs nothing real. */
  #checkDepth(fragment: string): void {
    let depth = 0;
    for (let i = 0; i < fragment.length; i++) {
      const char = fragment[i];
      if (char === '{' || char === '[') depth += 1;
      else if (char === '}' || char === ']') depth -= 1;
      if (depth > 4 * limits.metadataDepth)
        throw this.#error(`nested deeper than ${4 * limits.metadataDepth}`);
    }
  }

  #take(fragment: JsonObject, bytes: number): void {
    const { type, extensions } = fragment;
    if (this.#depth === 'events' || type !== 'event-record-class') this.#keptBytes += bytes;
    if (this.#keptBytes > limits.metadataKeptBytes)
      throw this.#error(`more than ${limits.metadataKeptBytes} bytes that are to be kept`);
    if (isObject(extensions) && Object.keys(extensions).length > 0)
      throw this.#error(`extensions ${quoted(Object.keys(extensions).join(', '))} are not known`);
    if (this.#preamble === (type === 'preamble'))
      throw this.#error(this.#preamble ? 'a second preamble' : 'no preamble at the beginning');
    if (type === 'preamble') this.#takePreamble(fragment);
    else if (type === 'field-class-alias') this.#types.define(fragment.name, fragment['field-class']);
    else if (type === 'trace-class') this.#takeTrace(fragment);
    else if (type === 'clock-class') this.#takeClock(fragment);
    else if (type === 'data-stream-class') this.#takeStream(fragment);
    else if (type === 'event-record-class') {
      if (this.#depth === 'events') this.#takeEvent(fragment);
    } else throw this.#error(`fragments of type ${quoted(String(type))} are not known`);
  }

  #takePreamble({ version, uuid }: JsonObject): void {
    if (version !== 2) throw this.#error(`version ${quoted(String(version))}, only 2 is known`);
    this.#preamble = true;
    if (uuid === undefined) return;
    if (!Array.isArray(uuid) || uuid.length !== 16) throw this.#error('the UUID is not 16 numbers');
    this.#uuid = Buffer.from(uuid.map(Number));
  }

  #takeTrace(fragment: JsonObject): void {
    if (this.#trace !== undefined || this.#streams.size > 0)
      throw this.#error('the trace class is not before the streams, or there are two');
    this.#trace = fragment;
    this.#packetHeader = this.#types.structOf(fragment['packet-header-field-class'], {
      scope: 'packetHeader',
    });
    // The stream's own UUID is that of the preamble; packets carry it.
    if (this.#uuid === undefined && typeof fragment.uid === 'string') this.#uuid = uuidOf(fragment.uid);
    const { environment } = fragment;
    if (!isObject(environment)) return;
    for (const [name, value] of Object.entries(environment))
      this.#environment.set(name, integerOf(value) ?? String(value));
  }

  #takeClock(fragment: JsonObject): void {
    const { id, origin, uid } = fragment;
    if (typeof id !== 'string') throw this.#error('a clock without an id');
    if (this.#clocks.has(id)) throw this.#error(`a second clock ${quoted(id)}`);
    const fail = (reason: string) => this.#error(reason);
    const offset = fragment['offset-from-origin'] ?? {};
    if (!isObject(offset)) throw this.#error('the offset of a clock is no object');
    const frequencyHz = integerMember(fragment, 'frequency', 0n, fail);
    if (frequencyHz <= 0n) throw this.#error('a clock that does not move');
    this.#clocks.set(id, {
      name: textMember(fragment, 'name') ?? id,
      frequencyHz,
      offsetSeconds: integerMember(offset, 'seconds', 0n, fail),
      offsetCycles: integerMember(offset, 'cycles', 0n, fail),
      isAbsolute: origin === 'unix-epoch',
      uuid: typeof uid === 'string' ? uid.toLowerCase() : undefined,
      description: textMember(fragment, 'description'),
    });
  }

  #takeStream(fragment: JsonObject): void {
    const id = this.#id(fragment, 'id');
    if (this.#streams.has(id)) throw this.#error(`a second stream of id ${id}`);
    const clock = textMember(fragment, 'default-clock-class-id');
    if (clock !== undefined && !this.#clocks.has(clock))
      throw this.#error(`clock ${quoted(clock)} is not declared`);
    const struct = (name: string, scope: 'packetContext' | 'eventHeader' | 'eventCommonContext') =>
      this.#types.structOf(fragment[`${name}-field-class`], { scope, clock });
    this.#streams.set(id, {
      id,
      packetContext: struct('packet-context', 'packetContext'),
      eventHeader: struct('event-record-header', 'eventHeader'),
      eventContext: struct('event-record-common-context', 'eventCommonContext'),
      events: new Map(),
    });
  }

  #takeEvent(fragment: JsonObject): void {
    const stream = this.#streams.get(this.#id(fragment, 'data-stream-class-id'));
    if (stream === undefined) throw this.#error('an event of a stream that is not declared');
    const id = this.#id(fragment, 'id');
    if (stream.events.has(id)) throw this.#error(`a second event of id ${id}`);
    const { attributes } = fragment;
    const lttng = isObject(attributes) ? attributes['lttng.org,2009'] : undefined;
    const given = isObject(lttng) ? lttng : {};
    const logLevel = logLevels.indexOf(String(given['log-level']));
    stream.events.set(id, {
      id,
      name: textMember(fragment, 'name') ?? '',
      logLevel: logLevel < 0 ? undefined : logLevel,
      emfUri: textMember(given, 'emf-uri') || undefined,
      context: this.#types.structOf(fragment['specific-context-field-class'], { scope: 'eventContext' }),
      payload: this.#types.structOf(fragment['payload-field-class'], { scope: 'eventPayload' }),
    });
  }

  #id(fragment: JsonObject, name: string): bigint {
    const id = integerMember(fragment, name, 0n, (reason) => this.#error(reason));
    if (id < 0n) throw this.#error(`${name} is negative`);
    return id;
  }

  #error(reason: string): MillraceError {
    return metadataError(this.#text, this.#at, reason);
  }
}
