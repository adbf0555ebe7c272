/** Traces: directories of one UUID are one trace, with the metadata that says most. Source: ctf, "Traces". */
import { join } from 'node:path';
import { bytesOfText } from '../ctf/byte-text.ts';
import type { StreamLayout } from '../ctf/decode/layout.ts';
import { layoutsOf } from '../ctf/decode/planner.ts';
import { readTraceClass } from '../ctf/metadata/index.ts';
import { PacketReader } from '../ctf/packet-header.ts';
import type { TraceClass } from '../ctf/trace-class.ts';
import { MillraceError } from '../errors.ts';
import type { TraceDirectory } from './find-traces.ts';

export interface Trace {
  class: TraceClass;
  layouts: ReadonlyMap<bigint, StreamLayout>;
  reader: PacketReader;
  /** As shown; undefined: it has none. Source: ctf, "Traces". */
  name: string | undefined;
  /** Those whose metadata counts first. */
  directories: TraceDirectory[];
}

/** Rejects what is wrong with the metadata, naming its file. */
export function tracesOf(directories: readonly TraceDirectory[]): Trace[] {
  const sorted = [...directories].sort((a, b) => compareBytes(a.path, b.path));
  const groups = new Map<string, { directory: TraceDirectory; class: TraceClass }[]>();
  for (const directory of sorted) {
    const parsed = within(directory, () => readTraceClass(directory.metadata));
    const key = parsed.uuid?.toString('hex') ?? `/${directory.path}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [{ directory, class: parsed }]);
    else group.push({ directory, class: parsed });
  }
  return [...groups.values()].map((parts) => {
    const best = parts.reduce((most, part) => (weight(part.class) > weight(most.class) ? part : most));
    const suffix = parts.length === 1 ? best.directory.suffix : '';
    const directories = [best, ...parts.filter((part) => part !== best)].map(({ directory }) => directory);
    return { ...within(best.directory, () => traceOf(best.class, suffix)), directories };
  });
}

/** A trace by its metadata alone. Errors: MR_ERR_CTF_LAYOUT. */
export function traceOf(traceClass: TraceClass, suffix: string): Trace {
  return {
    class: traceClass,
    layouts: layoutsOf(traceClass),
    reader: new PacketReader(traceClass),
    name: nameOf(traceClass, suffix),
    directories: [],
  };
}

function within<T>(directory: TraceDirectory, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof MillraceError)) throw cause;
    const path = join(directory.path, 'metadata');
    throw new MillraceError('MR_ERR_VIEW_INPUT', { path, why: cause.message }, { cause });
  }
}

function weight({ streams }: TraceClass): number {
  let sum = streams.size;
  for (const { events } of streams.values()) sum += events.size;
  return sum;
}

function nameOf({ environment }: TraceClass, suffix: string): string | undefined {
  const hostname = environment.get('hostname');
  if (typeof hostname !== 'string') return suffix;
  return suffix === '' ? hostname : `${hostname}/${suffix}`;
}

/** By the bytes of names. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(bytesOfText(a), bytesOfText(b));
}
