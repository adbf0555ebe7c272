/**
 * Events as a Perfetto trace: a stream of packets that can be cut anywhere behind one, and read from every
 * place where names and tracks are written again. The form is documented in docs/view.md.
 */
import type { Cursor } from '../../ctf/decode/cursor.ts';
import type { MakeEmitter } from '../../ctf/decode/emitter.ts';
import type { FieldStruct, FieldValue } from '../../ctf/decode/values.ts';
import type { ScopeValues } from '../../ctf/decode/values-emitter.ts';
import type { EventClass } from '../../ctf/trace-class.ts';
import type { EventTime, LineFormat, StreamFacts } from '../line-format.ts';
import { isAbsolute } from '../moment.ts';
import type { TextBuffer } from '../text/text-buffer.ts';
import { Annotations } from './annotations.ts';
import { InternedNames } from './interned-names.ts';
import { type ProtoMessage, ProtoWriter } from './proto-writer.ts';
import { type SliceRole, sliceRoleOf } from './rules.ts';
import { builtinClocks, eventTypes, perfettoSchema, sequenceFlags } from './schema.ts';
import { ScopesEmitter } from './scopes-emitter.ts';
import { type Source, type Track, Tracks } from './tracks.ts';

const [packetNumber] = perfettoSchema.Trace.packet;

/** Packets of one sequence share names. */
const trustedPacketSequenceId = 1;

/** What is known of an event's class. */
interface EventPlan {
  source: Source;
  nameIid: number;
  category: number;
  role: SliceRole | undefined;
  hasWallClock: boolean;
}

interface StreamState {
  handle: number;
  packetContext: FieldStruct | undefined;
}

/** An event that was decoded, perhaps before its turn. */
interface Held {
  plan: EventPlan;
  packetContext: FieldStruct | undefined;
  scopes: ScopeValues;
}

/** Writes one trace: a new one for each output. Memory: names of the metadata, `limits.perfettoTracks`. */
export class PerfettoFormat implements LineFormat {
  readonly #tracks = new Tracks();
  readonly #categories = new InternedNames();
  readonly #eventNames = new InternedNames();
  readonly #fieldNames = new InternedNames();
  readonly #annotations = new Annotations(this.#fieldNames);
  readonly #writer = new ProtoWriter();
  readonly #streams = new WeakMap<Cursor, StreamState>();
  /** One for each stream at the most. */
  readonly #held = new Map<number, Held>();
  readonly #stateBytes: number;
  #lastHandle = 0;
  #bytesSinceState = Number.POSITIVE_INFINITY;
  #isFirst = true;

  /** `stateBytes`: after so many, names and tracks are written again for those who read from the middle. */
  constructor(stateBytes = 16_777_216) {
    this.#stateBytes = stateBytes;
  }

  packet(): MakeEmitter {
    return (code) =>
      new ScopesEmitter(code, (_out, cursor, { packetContext }) => {
        this.#stateOf(cursor).packetContext = packetContext;
      });
  }

  /** Writes the number that `suffix` finds the event by: packets are made in the order of events only. */
  body({ trace, streamClassId }: StreamFacts, event: EventClass): MakeEmitter {
    const clock = trace.layouts.get(streamClassId)?.clock;
    const { environment } = trace.class;
    const [provider, name] = event.name.split(':');
    const domain = environment.get('domain');
    const role = sliceRoleOf(event.name);
    const plan = {
      source: this.#tracks.sourceOf(trace),
      nameIid: this.#eventNames.of(role?.edge === 'begin' ? role.name : event.name),
      category: this.#categories.of(name === undefined ? String(domain ?? 'trace') : String(provider)),
      role,
      hasWallClock: clock !== undefined && isAbsolute(clock, environment.get('tracer_name')),
    };
    const take = (out: TextBuffer, cursor: Cursor, scopes: ScopeValues) => {
      const { handle, packetContext } = this.#stateOf(cursor);
      this.#held.set(handle, { plan, packetContext, scopes });
      if (out.at > out.mark) out.grow(out.at);
      out.view.setUint32(out.at, handle, true);
      out.at += 4;
    };
    return (code) => new ScopesEmitter(code, take);
  }

  prefix(): void {}

  suffix(out: TextBuffer, time: EventTime): void {
    const at = out.at - 4;
    const handle = out.view.getUint32(at, true);
    const held = this.#held.get(handle);
    this.#held.delete(handle);
    const writer = this.#writer;
    writer.at = 0;
    if (held !== undefined) this.#event(held, time);
    this.#bytesSinceState += writer.at;
    out.at = out.copy(writer.bytes.subarray(0, writer.at), at);
  }

  #stateOf(cursor: Cursor): StreamState {
    let state = this.#streams.get(cursor);
    if (state === undefined) {
      this.#lastHandle += 1;
      state = { handle: this.#lastHandle, packetContext: undefined };
      this.#streams.set(cursor, state);
    }
    return state;
  }

  #event({ plan, packetContext, scopes }: Held, time: EventTime): void {
    const timestamp = nsOf(time);
    if (this.#tracks.isFull) {
      this.#tracks.clear();
      this.#bytesSinceState = Number.POSITIVE_INFINITY;
    }
    if (this.#bytesSinceState >= this.#stateBytes) this.#clearState(timestamp, plan.hasWallClock);
    const { eventContext, eventCommonContext, eventPayload } = scopes;
    const contexts = [eventContext, eventCommonContext];
    const track = this.#tracks.of(plan.source, {
      pid: integerOf(contexts, 'vpid') ?? integerOf(contexts, 'pid'),
      tid: integerOf(contexts, 'vtid') ?? integerOf(contexts, 'tid'),
      cpu: integerOf([packetContext], 'cpu_id') ?? integerOf(contexts, 'cpu_id'),
      procname: textOf(contexts, 'procname'),
    });
    this.#describe(track);

    const { role } = plan;
    const trackUuid = track.uuid;
    const field = fieldText(role, eventPayload);
    const payload = eventPayload === undefined ? [] : this.#annotations.members(eventPayload);
    if (role?.edge === 'end') {
      const ends = track.slices.end(role.key, field);
      if (ends > 0) {
        const end = { type: eventTypes.sliceEnd, trackUuid };
        for (let i = 1; i < ends; i++) this.#write(timestamp, end);
        this.#write(timestamp, { ...end, debugAnnotations: payload });
        return;
      }
    }
    const isNamed = role?.edge === 'begin' && field !== undefined;
    const isSlice = role?.edge === 'begin' && track.slices.begin(role.key, field);
    for (const [name, scope] of [
      ['context', eventContext],
      ['streamContext', eventCommonContext],
      ['packetContext', packetContext],
    ] as const)
      if (scope !== undefined) payload.push(this.#annotations.named(name, scope));
    this.#write(timestamp, {
      type: isSlice ? eventTypes.sliceBegin : eventTypes.instant,
      trackUuid,
      categoryIids: plan.category,
      // Names from fields are without number: nobody could say how many there are.
      name: isNamed ? field : undefined,
      nameIid: isNamed ? undefined : plan.nameIid,
      debugAnnotations: payload,
    });
  }

  /** The track and those that it is a part of, the outermost first. */
  #describe(track: Track): void {
    const { parent, uuid, descriptor } = track;
    if (parent !== undefined) this.#describe(parent);
    if (track.isWritten) return;
    track.isWritten = true;
    const trackDescriptor = { uuid, parentUuid: parent?.uuid, ...descriptor };
    this.#packet({ trustedPacketSequenceId, trackDescriptor });
  }

  #write(timestamp: bigint, trackEvent: ProtoMessage): void {
    const internedData = this.#internedData();
    const flags = sequenceFlags.needsIncrementalState;
    this.#packet({ timestamp, trustedPacketSequenceId, sequenceFlags: flags, internedData, trackEvent });
  }

  #internedData(): ProtoMessage | undefined {
    const eventCategories = this.#categories.take();
    const eventNames = this.#eventNames.take();
    const debugAnnotationNames = this.#fieldNames.take();
    return (eventCategories ?? eventNames ?? debugAnnotationNames)
      ? { eventCategories, eventNames, debugAnnotationNames }
      : undefined;
  }

  /** The clocks are set to one time: timestamps are the wall clock's, and a viewer shows them as such. */
  #clearState(timestamp: bigint, hasWallClock: boolean): void {
    this.#bytesSinceState = 0;
    for (const names of [this.#categories, this.#eventNames, this.#fieldNames]) names.repeat();
    this.#tracks.repeat();
    const { boottime, realtime } = builtinClocks;
    const clocks = [boottime, realtime].map((clockId) => ({ clockId, timestamp }));
    this.#packet({
      timestamp,
      trustedPacketSequenceId,
      sequenceFlags: sequenceFlags.incrementalStateCleared,
      ...(hasWallClock && { clockSnapshot: { clocks } }),
      ...(this.#isFirst && { firstPacketOnSequence: true }),
    });
    this.#isFirst = false;
  }

  #packet(packet: ProtoMessage): void {
    this.#writer.message(packetNumber, 'TracePacket', packet);
  }
}

/** Perfetto knows no time before the origin. */
function nsOf({ seconds, nanos }: EventTime): bigint {
  return seconds < 0 ? 0n : BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
}

function fieldText(role: SliceRole | undefined, payload: FieldStruct | undefined): string | undefined {
  const value = role?.field === undefined ? undefined : payload?.[role.field];
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? `0x${value.toString(16)}` : undefined;
}

function integerOf(scopes: readonly (FieldStruct | undefined)[], name: string): bigint | undefined {
  const value = lookUp(scopes, name);
  return typeof value === 'bigint' || Number.isInteger(value) ? BigInt(value as number) : undefined;
}

function textOf(scopes: readonly (FieldStruct | undefined)[], name: string): string | undefined {
  const value = lookUp(scopes, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function lookUp(scopes: readonly (FieldStruct | undefined)[], name: string): FieldValue {
  for (const scope of scopes) if (scope?.[name] !== undefined) return scope[name];
  return undefined;
}
