/**
 * Events as a Perfetto trace: a stream of packets that can be cut anywhere behind one, and read from every
 * place where names and tracks are written again. The form is documented in docs/view.md.
 */
import { basename } from 'node:path';
import type { Cursor } from '../../ctf/decode/cursor.ts';
import type { MakeEmitter } from '../../ctf/decode/emitter.ts';
import type { FieldStruct } from '../../ctf/decode/values.ts';
import type { ScopeValues } from '../../ctf/decode/values-emitter.ts';
import type { ClockClass, EventClass } from '../../ctf/trace-class.ts';
import type { DataStream } from '../data-streams.ts';
import type { EventTime, LineFormat, StreamFacts } from '../line-format.ts';
import type { Loss } from '../losses.ts';
import { isAbsolute, type Moment } from '../moment.ts';
import type { TextBuffer } from '../text/text-buffer.ts';
import type { Trace } from '../trace.ts';
import { Annotations } from './annotations.ts';
import { InternedData } from './interned-data.ts';
import { fieldText, integerOf, placeOf, textOf } from './place.ts';
import { type ProtoMessage, ProtoWriter } from './proto-writer.ts';
import { type SliceRole, type SwitchRule, sliceRoleOf, switchRules } from './rules.ts';
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
  running: SwitchRule | undefined;
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
  readonly #names = new InternedData();
  readonly #annotations = new Annotations(this.#names.fields);
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
    const [provider, name] = event.name.split(':');
    const domain = trace.class.environment.get('domain');
    const role = sliceRoleOf(event.name);
    const plan = {
      source: this.#tracks.sourceOf(trace),
      nameIid: this.#names.events.of(role?.edge === 'begin' ? role.name : event.name),
      category: this.#names.categories.of(name === undefined ? String(domain ?? 'trace') : String(provider)),
      role,
      running: switchRules.find((rule) => rule.event === event.name),
      hasWallClock: hasWallClock(trace, trace.layouts.get(streamClassId)?.clock),
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
    if (held !== undefined) this.#event(held, nsOf(time));
    out.at = at;
    this.#moveTo(out);
  }

  /** A slice on a track of the stream, over the time in which it was lost. */
  lost(out: TextBuffer, { what, count, range }: Loss, { trace, layout, path }: DataStream): void {
    if (range === undefined) return;
    const begin = nsOf(range.begin);
    const end = nsOf(range.end);
    this.#prepare(begin, hasWallClock(trace, layout.clock));
    const track = this.#tracks.lost(this.#tracks.sourceOf(trace), basename(path));
    this.#describe(track);
    const trackUuid = track.uuid;
    const name =
      count === undefined ? `perhaps lost ${what}s` : `lost ${count} ${what}${count === 1n ? '' : 's'}`;
    this.#write(begin, { type: eventTypes.sliceBegin, trackUuid, name });
    this.#write(end < begin ? begin : end, { type: eventTypes.sliceEnd, trackUuid });
    out.start = out.at;
    this.#moveTo(out);
  }

  /** Moves what was made to the output. */
  #moveTo(out: TextBuffer): void {
    const writer = this.#writer;
    this.#bytesSinceState += writer.at;
    out.at = out.copy(writer.bytes.subarray(0, writer.at), out.at);
    writer.at = 0;
  }

  /** Before anything is written: there is room for its tracks, and state where it is due. */
  #prepare(timestamp: bigint, isWallClock: boolean): void {
    if (this.#tracks.isFull) {
      this.#tracks.clear();
      this.#bytesSinceState = Number.POSITIVE_INFINITY;
    }
    if (this.#bytesSinceState >= this.#stateBytes) this.#clearState(timestamp, isWallClock);
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

  #event({ plan, packetContext, scopes }: Held, timestamp: bigint): void {
    this.#prepare(timestamp, plan.hasWallClock);
    const { role, running, source } = plan;
    const { eventContext, eventCommonContext, eventPayload } = scopes;
    const place = placeOf(scopes, packetContext);
    if (running !== undefined)
      this.#switch(timestamp, this.#tracks.running(source, place.cpu), running, eventPayload);
    const track = this.#tracks.of(source, place);
    this.#describe(track);
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

  /** Ends the slice of what ran on a CPU, and begins that of what runs from now on. */
  #switch(timestamp: bigint, track: Track, rule: SwitchRule, payload: FieldStruct | undefined): void {
    const { uuid: trackUuid, slices } = track;
    this.#describe(track);
    if (slices.end(rule.event, undefined) > 0)
      this.#write(timestamp, { type: eventTypes.sliceEnd, trackUuid });
    const tid = integerOf([payload], rule.tid);
    // Thread 0 is the CPU at rest.
    if (tid === undefined || tid === 0n) return;
    const name = `${textOf([payload], rule.name) ?? 'thread'} ${tid}`;
    slices.begin(rule.event, undefined);
    this.#write(timestamp, { type: eventTypes.sliceBegin, trackUuid, name });
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
    const internedData = this.#names.take();
    const flags = sequenceFlags.needsIncrementalState;
    this.#packet({ timestamp, trustedPacketSequenceId, sequenceFlags: flags, internedData, trackEvent });
  }

  /** The clocks are set to one time: timestamps are the wall clock's, and a viewer shows them as such. */
  #clearState(timestamp: bigint, hasWallClock: boolean): void {
    this.#bytesSinceState = 0;
    this.#names.repeat();
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

function hasWallClock(trace: Trace, clock: ClockClass | undefined): boolean {
  return clock !== undefined && isAbsolute(clock, trace.class.environment.get('tracer_name'));
}

/** Perfetto knows no time before the origin. */
function nsOf({ seconds, nanos }: Moment): bigint {
  return seconds < 0 ? 0n : BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
}
