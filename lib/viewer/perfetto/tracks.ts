/**
 * The tracks that events stand on: threads of processes where the event or the trace says whose it is, else the CPU
 * of its packet, else the trace.
 */
import { createHash } from 'node:crypto';
import { limits } from '../../limits.ts';
import type { Trace } from '../trace.ts';
import type { Place } from './place.ts';
import type { ProtoMessage } from './proto-writer.ts';
import { SliceStack } from './slice-stack.ts';

export interface Track {
  uuid: number;
  parent: Track | undefined;
  /** TrackDescriptor, but for `uuid` and `parentUuid`. */
  descriptor: ProtoMessage;
  /** It stands in the trace since the state was cleared last. */
  isWritten: boolean;
  slices: SliceStack;
}

/** A trace, as far as tracks know it. */
export interface Source {
  key: string;
  name: string;
  hostname: string | undefined;
  /** Added to its process ids: two hosts may have a process of one id, and a Perfetto trace knows one. */
  pidOffset: number;
  pid: bigint | undefined;
  procname: string | undefined;
}

/** Linux has no larger process id. */
const pidsPerHost = 4_194_304;

/** Ids have 31 bits. */
const mostHosts = 512;

export class Tracks {
  readonly #tracks = new Map<string, Track>();
  readonly #sources = new Map<Trace, Source>();
  readonly #hosts = new Map<string, number>();

  sourceOf(trace: Trace): Source {
    let source = this.#sources.get(trace);
    if (source === undefined) {
      const { environment, uuid } = trace.class;
      const host = textOf(environment.get('hostname'));
      const pid = environment.get('vpid');
      const index = this.#hosts.get(host ?? '') ?? this.#hosts.size;
      this.#hosts.set(host ?? '', index);
      source = {
        key: `${trace.name ?? ''}\0${uuid?.toString('hex') ?? ''}`,
        name: trace.name === undefined || trace.name === '' ? 'trace' : trace.name,
        hostname: host,
        pidOffset: (index % mostHosts) * pidsPerHost,
        pid: typeof pid === 'bigint' ? pid : undefined,
        procname: textOf(environment.get('procname')),
      };
      this.#sources.set(trace, source);
    }
    return source;
  }

  /** There are as many as there may be: `clear` them before the next one. */
  get isFull(): boolean {
    return this.#tracks.size >= limits.perfettoTracks;
  }

  /** Forgets all tracks, and which slices are open on them. */
  clear(): void {
    this.#tracks.clear();
  }

  /** All tracks have to be written again. */
  repeat(): void {
    for (const track of this.#tracks.values()) track.isWritten = false;
  }

  /** The track of an event. */
  of(source: Source, { pid = source.pid, tid, cpu, procname }: Place): Track {
    if (pid === undefined && tid === undefined) return this.#cpu(source, this.#root(source), cpu);
    const process = this.#process(source, (pid ?? tid) as bigint, tid, procname);
    return tid === undefined
      ? this.#cpu(source, process, cpu)
      : this.#thread(source, process, (pid ?? tid) as bigint, tid, procname);
  }

  /** Where a CPU shows what runs on it. */
  running(source: Source, cpu: bigint | undefined): Track {
    const parent = this.#cpu(source, this.#root(source), cpu);
    return this.#track(`running\0${parent.uuid}`, parent, { name: 'running' });
  }

  /** Where a stream shows what it lost. */
  lost(source: Source, stream: string): Track {
    const parent = this.#root(source);
    return this.#track(`lost\0${source.key}\0${stream}`, parent, { name: `lost of ${stream}` });
  }

  #root({ key, name }: Source): Track {
    return this.#track(`trace\0${key}`, undefined, { name });
  }

  #cpu({ key }: Source, parent: Track, cpu: bigint | undefined): Track {
    if (cpu === undefined) return parent;
    return this.#track(`cpu\0${key}\0${parent.uuid}\0${cpu}`, parent, { name: `CPU ${cpu}` });
  }

  #process(source: Source, pid: bigint, tid: bigint | undefined, procname: string | undefined): Track {
    const { hostname } = source;
    const track = this.#track(`process\0${hostname ?? ''}\0${pid}`, undefined, {});
    const known = track.descriptor.process as { processName?: string } | undefined;
    // A thread may have a name of its own; the first thread has the name of the process.
    const name = source.procname ?? (tid === pid ? procname : undefined);
    const shown = name ?? (known === undefined ? procname : undefined);
    const processName = shown === undefined || hostname === undefined ? shown : `${shown} (${hostname})`;
    if (known === undefined || (processName !== undefined && processName !== known.processName))
      describe(track, { process: { pid: idOf(pid, source), processName } });
    return track;
  }

  #thread(source: Source, process: Track, pid: bigint, tid: bigint, threadName: string | undefined): Track {
    const track = this.#track(`thread\0${process.uuid}\0${tid}`, process, {});
    const known = track.descriptor.thread as { threadName?: string } | undefined;
    if (known === undefined || (threadName !== undefined && threadName !== known.threadName))
      describe(track, { thread: { pid: idOf(pid, source), tid: idOf(tid, source), threadName } });
    return track;
  }

  #track(key: string, parent: Track | undefined, descriptor: ProtoMessage): Track {
    let track = this.#tracks.get(key);
    if (track === undefined) {
      const uuid = uuidOf(key);
      track = { uuid, parent, descriptor, isWritten: false, slices: new SliceStack() };
      this.#tracks.set(key, track);
    }
    return track;
  }
}

function describe(track: Track, descriptor: ProtoMessage): void {
  track.descriptor = descriptor;
  track.isWritten = false;
}

/** The same for one key in every part of a trace, of 53 bits; 0 is the track of no one. */
function uuidOf(key: string): number {
  return Number(createHash('sha256').update(key).digest().readBigUInt64LE(0) >> 11n) || 1;
}

function idOf(id: bigint, { pidOffset }: Source): bigint {
  return BigInt.asIntN(32, id + BigInt(pidOffset));
}

function textOf(value: bigint | string | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
