/**
 * The messages of a Perfetto trace that are written, and their fields. Source: Perfetto's protobuf schema, "trace.proto",
 * "trace_packet.proto", "clock_snapshot.proto", "interned_data.proto", and "track_event/": "track_event.proto",
 * "track_descriptor.proto", "process_descriptor.proto", "thread_descriptor.proto", "debug_annotation.proto".
 */

/** How the value of a field is encoded; any other word is the name of a message. */
export type ScalarType = 'uint32' | 'uint64' | 'int32' | 'int64' | 'bool' | 'double' | 'string';

/** By name: the number of the field, and its type. An array for a value repeats the field. */
export type MessageSchema = Readonly<Record<string, readonly [number: number, type: string]>>;

export const perfettoSchema = {
  Trace: { packet: [1, 'TracePacket'] },
  TracePacket: {
    clockSnapshot: [6, 'ClockSnapshot'],
    timestamp: [8, 'uint64'],
    trustedPacketSequenceId: [10, 'uint32'],
    trackEvent: [11, 'TrackEvent'],
    internedData: [12, 'InternedData'],
    sequenceFlags: [13, 'uint32'],
    trackDescriptor: [60, 'TrackDescriptor'],
    firstPacketOnSequence: [87, 'bool'],
  },
  ClockSnapshot: { clocks: [1, 'Clock'] },
  Clock: { clockId: [1, 'uint32'], timestamp: [2, 'uint64'] },
  InternedData: {
    eventCategories: [1, 'InternedName'],
    eventNames: [2, 'InternedName'],
    debugAnnotationNames: [3, 'InternedName'],
  },
  /** EventCategory, EventName and DebugAnnotationName are alike. */
  InternedName: { iid: [1, 'uint64'], name: [2, 'string'] },
  TrackDescriptor: {
    uuid: [1, 'uint64'],
    name: [2, 'string'],
    process: [3, 'ProcessDescriptor'],
    thread: [4, 'ThreadDescriptor'],
    parentUuid: [5, 'uint64'],
  },
  ProcessDescriptor: { pid: [1, 'int32'], processName: [6, 'string'] },
  ThreadDescriptor: { pid: [1, 'int32'], tid: [2, 'int32'], threadName: [5, 'string'] },
  TrackEvent: {
    categoryIids: [3, 'uint64'],
    debugAnnotations: [4, 'DebugAnnotation'],
    type: [9, 'uint32'],
    nameIid: [10, 'uint64'],
    trackUuid: [11, 'uint64'],
    name: [23, 'string'],
  },
  DebugAnnotation: {
    nameIid: [1, 'uint64'],
    boolValue: [2, 'bool'],
    uintValue: [3, 'uint64'],
    intValue: [4, 'int64'],
    doubleValue: [5, 'double'],
    stringValue: [6, 'string'],
    dictEntries: [11, 'DebugAnnotation'],
    arrayValues: [12, 'DebugAnnotation'],
  },
} as const satisfies Readonly<Record<string, MessageSchema>>;

/** TrackEvent.Type. */
export const eventTypes = { sliceBegin: 1, sliceEnd: 2, instant: 3 } as const;

/** TracePacket.SequenceFlags. */
export const sequenceFlags = { incrementalStateCleared: 1, needsIncrementalState: 2 } as const;

/** BuiltinClock. Timestamps of packets that say nothing else are of `boottime`. */
export const builtinClocks = { realtime: 1, boottime: 6 } as const;
