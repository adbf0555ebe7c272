/**
 * CTF 2 metadata as far as packets are concerned: a sequence of JSON objects, each behind a record separator.
 * Events are dropped. Source: ctf, "CTF 2".
 */
import { type MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { StructType } from '../field-types.ts';
import type { PacketScope } from '../roles.ts';
import { type StreamClass, type TraceClass, uuidOf } from '../trace-class.ts';
import { isObject, type JsonObject, JsonTypes } from './json-types.ts';
import { quoted } from './lexer.ts';
import { metadataError } from './metadata-text.ts';

const separator = '\x1e';

/** Reads a CTF 2 metadata text (Latin-1). Errors: MR_ERR_CTF_METADATA, at the line of the fragment. */
export function traceClassOfJson(text: string): TraceClass {
  return new Reader(text).read();
}

class Reader {
  readonly #text: string;
  readonly #types: JsonTypes;
  readonly #streams = new Map<bigint, StreamClass>();
  #at = 0;
  #uuid: Buffer | undefined;
  #trace: JsonObject | undefined;
  #packetHeader: StructType | undefined;
  #environment = new Map<string, bigint | string>();
  #preamble = false;
  #keptBytes = 0;

  constructor(text: string) {
    this.#text = text;
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
      value = JSON.parse(Buffer.from(fragment, 'latin1').toString());
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
    if (type !== 'event-record-class') this.#keptBytes += bytes;
    if (this.#keptBytes > limits.metadataKeptBytes)
      throw this.#error(`more than ${limits.metadataKeptBytes} bytes that are not of events`);
    if (isObject(extensions) && Object.keys(extensions).length > 0)
      throw this.#error(`extensions ${quoted(Object.keys(extensions).join(', '))} are not known`);
    if (this.#preamble === (type === 'preamble'))
      throw this.#error(this.#preamble ? 'a second preamble' : 'no preamble at the beginning');
    if (type === 'preamble') this.#takePreamble(fragment);
    else if (type === 'field-class-alias') this.#types.define(fragment.name, fragment['field-class']);
    else if (type === 'trace-class') this.#takeTrace(fragment);
    else if (type === 'data-stream-class') this.#takeStream(fragment);
    else if (type !== 'clock-class' && type !== 'event-record-class')
      throw this.#error(`fragments of type ${quoted(String(type))} are not known`);
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
    this.#packetHeader = this.#scope(fragment['packet-header-field-class'], 'packetHeader');
    // The stream's own UUID is that of the preamble; packets carry it.
    if (this.#uuid === undefined && typeof fragment.uid === 'string') this.#uuid = uuidOf(fragment.uid);
    const { environment } = fragment;
    if (!isObject(environment)) return;
    for (const [name, value] of Object.entries(environment))
      this.#environment.set(name, Number.isSafeInteger(value) ? BigInt(value as number) : String(value));
  }

  #takeStream(fragment: JsonObject): void {
    const given = fragment.id ?? 0;
    if (!Number.isInteger(given) || (given as number) < 0)
      throw this.#error('the id of a stream is no integer');
    const id = BigInt(given as number);
    if (this.#streams.has(id)) throw this.#error(`a second stream of id ${id}`);
    this.#streams.set(id, {
      id,
      packetContext: this.#scope(fragment['packet-context-field-class'], 'packetContext'),
      hasEventHeader: fragment['event-record-header-field-class'] !== undefined,
    });
  }

  #scope(fieldClass: unknown, scope: PacketScope): StructType | undefined {
    if (fieldClass === undefined) return undefined;
    const type = this.#types.typeOf(fieldClass, scope);
    if (type.kind !== 'struct') throw this.#error(`the ${scope} is no structure`);
    return type;
  }

  #error(reason: string): MillraceError {
    return metadataError(this.#text, this.#at, reason);
  }
}
