/**
 * Known bugs of tracers that babeltrace2 corrects before use. They change the times of packets, and so those of lost
 * events and the bounds of time ranges. Source: ctf, "Traces".
 */
import type { DataStream } from './data-streams.ts';
import { packetTimes } from './packet-times.ts';
import type { Trace } from './trace.ts';

type Version = readonly [number, number, number];

/** Corrects the packet table. Rejects MR_ERR_DISK_READ. */
export async function mendTimes(streams: readonly DataStream[]): Promise<void> {
  for (const stream of streams) {
    const tracer = tracerOf(stream.trace);
    if (tracer === undefined) continue;
    const { name, version } = tracer;
    if (name === 'barectf' && isBefore(version, [2, 3, 1])) await mendBegins(stream);
    if (name !== 'lttng-ust' && name !== 'lttng-modules') continue;
    const late =
      name === 'lttng-ust'
        ? isBefore(version, [2, 11, 0])
        : isBefore(version, [2, 9, 13]) || (isBefore(version, [2, 10, 10]) && !isBefore(version, [2, 10, 0]));
    await mendEnds(stream, late);
  }
}

function tracerOf({ class: { environment } }: Trace): { name: string; version: Version } | undefined {
  const name = environment.get('tracer_name');
  const number = (key: string): number | undefined => {
    const value = environment.get(key);
    return typeof value === 'bigint' ? Number(value) : undefined;
  };
  const major = number('tracer_major');
  const minor = number('tracer_minor');
  if (typeof name !== 'string' || major === undefined || minor === undefined) return undefined;
  const patch = number('tracer_patch') ?? number('tracer_patchlevel') ?? 0;
  return { name, version: [major, minor, patch] };
}

function isBefore(a: Version, b: Version): boolean {
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return (a[i] as number) < (b[i] as number);
  return false;
}

/** `all`: the last events may be later than any packet's end; else only a packet of a crash has no end. */
async function mendEnds({ packets, layout }: DataStream, all: boolean): Promise<void> {
  for (const [i, packet] of packets.entries()) {
    const { beginCycles, endCycles } = packet;
    const crashed = endCycles === 0n && beginCycles !== undefined && beginCycles !== 0n;
    if (endCycles === undefined || !(all || crashed)) continue;
    const next = packets[i + 1]?.beginCycles;
    packet.endCycles = next ?? (await packetTimes(packet, layout))?.last ?? endCycles;
  }
}

/** The first events may be earlier than the packet's begin, from the second packet on. */
async function mendBegins({ packets, layout }: DataStream): Promise<void> {
  for (const packet of packets.slice(1)) {
    if (packet.beginCycles === undefined) continue;
    packet.beginCycles = (await packetTimes(packet, layout))?.first ?? packet.beginCycles;
  }
}
