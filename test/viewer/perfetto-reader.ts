/** Reads Perfetto traces as the published schema says, by a decoder that is not ours. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

export interface ReadAnnotation {
  nameIid?: string;
  boolValue?: boolean;
  uintValue?: string;
  intValue?: string;
  doubleValue?: number;
  stringValue?: string;
  dictEntries?: ReadAnnotation[];
  arrayValues?: ReadAnnotation[];
}

export interface ReadPacket {
  timestamp?: string;
  trustedPacketSequenceId?: number;
  sequenceFlags?: number;
  firstPacketOnSequence?: boolean;
  clockSnapshot?: { clocks: { clockId: number; timestamp: string }[] };
  internedData?: Partial<
    Record<'eventCategories' | 'eventNames' | 'debugAnnotationNames', { iid: string; name: string }[]>
  >;
  trackDescriptor?: {
    uuid: string;
    parentUuid?: string;
    name?: string;
    process?: { pid: number; processName?: string };
    thread?: { pid: number; tid: number; threadName?: string };
  };
  trackEvent?: {
    type: string;
    trackUuid: string;
    nameIid?: string;
    name?: string;
    categoryIids?: string[];
    debugAnnotations?: ReadAnnotation[];
  };
}

/** An event with its numbers resolved. `track`: names of its track and those around it, the outermost first. */
export interface ReadEvent {
  at: bigint;
  type: string;
  name: string | undefined;
  category: string | undefined;
  track: string;
  fields: Record<string, unknown>;
}

const schema = fileURLToPath(new URL('../../../test/viewer/perfetto.proto', import.meta.url));

/** Perfetto's schema, as far as it is in perfetto.proto. */
export const published = protobuf.parse(readFileSync(schema, 'utf8')).root;

export function readPackets(bytes: Uint8Array): ReadPacket[] {
  const trace = published.lookupType('perfetto.protos.Trace');
  return trace.toObject(trace.decode(bytes), { longs: String, enums: String }).packet ?? [];
}

/** Events of a sequence as a reader that begins with `packets` knows them. Throws what refers to nothing. */
export function readEvents(packets: readonly ReadPacket[]): ReadEvent[] {
  const tables = { eventCategories: new Map(), eventNames: new Map(), debugAnnotationNames: new Map() };
  const tracks = new Map<string, { parent: string | undefined; name: string }>();
  const events: ReadEvent[] = [];
  let isValid = false;
  for (const packet of packets) {
    if (((packet.sequenceFlags ?? 0) & 1) !== 0) {
      for (const table of Object.values(tables)) table.clear();
      tracks.clear();
      isValid = true;
    }
    if (!isValid) continue;
    for (const [kind, names] of Object.entries(packet.internedData ?? {}))
      for (const { iid, name } of names) tables[kind as keyof typeof tables].set(iid, name);
    const { trackDescriptor: track, trackEvent: event } = packet;
    if (track !== undefined) {
      const { process, thread } = track;
      const name =
        track.name ??
        (process && `process ${process.pid} ${process.processName}`) ??
        `thread ${thread?.pid} ${thread?.tid} ${thread?.threadName}`;
      tracks.set(track.uuid, { parent: track.parentUuid, name });
    }
    if (event === undefined) continue;
    events.push({
      at: BigInt(packet.timestamp as string),
      type: event.type.replace('TYPE_', ''),
      name: event.name ?? (event.nameIid && found(tables.eventNames, event.nameIid)),
      category: event.categoryIids?.map((iid) => found(tables.eventCategories, iid)).join(),
      track: pathOf(event.trackUuid),
      fields: fieldsOf(event.debugAnnotations ?? []),
    });
  }
  return events;

  function pathOf(uuid: string): string {
    const { parent, name } = found(tracks, uuid);
    return parent === undefined ? name : `${pathOf(parent)} / ${name}`;
  }

  function fieldsOf(annotations: readonly ReadAnnotation[]): Record<string, unknown> {
    return Object.fromEntries(
      annotations.map((each) => [found(tables.debugAnnotationNames, each.nameIid ?? ''), plainOf(each)]),
    );
  }

  function plainOf(annotation: ReadAnnotation): unknown {
    const { dictEntries, arrayValues, nameIid: _, ...scalar } = annotation;
    if (dictEntries !== undefined) return fieldsOf(dictEntries);
    if (arrayValues !== undefined) return arrayValues.map(plainOf);
    const [[kind, value] = []] = Object.entries(scalar);
    return kind === 'intValue' || kind === 'uintValue' ? BigInt(value as string) : value;
  }
}

function found<V>(table: ReadonlyMap<string, V>, key: string): V {
  const value = table.get(key);
  if (value === undefined) throw new Error(`${key} was not defined before it was used`);
  return value;
}
