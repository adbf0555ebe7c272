/**
 * Where a consumer streams to, by its address: `net://HOST` with hops in front, control and data apart (two words),
 * or a directory. Every
 * kind loads the room that it needs, and no other.
 */
import type { Writable } from 'node:stream';
import { MillraceError } from '../errors.ts';
import { parseHops } from '../network/relay-target.ts';
import type { RelaySink, RelaySinkOptions } from '../relay/client/options.ts';
import { parseRoute, type Route } from '../relay/client/route.ts';

/** How to speak to a relay; see `RelaySinkOptions`. */
export type TargetOptions = Omit<RelaySinkOptions, 'control' | 'data' | 'rename' | 'via'>;

/** What has reached one target. */
export interface Delivered {
  uri: string;
  packets: number;
  bytes: number;
  metadataBytes: number;
  /** Packets of which a relay has acknowledged the index. */
  acknowledgedPackets: number;
  /** Directory of the last session there, as a relay told it. */
  outputPath: string;
}

/** An opened target. */
export interface OpenTarget {
  sink: Writable;
  delivered(): Delivered;
}

/** A target that can be opened. */
type Place = { kind: 'relay'; route: Route } | { kind: 'directory'; path: string };

/** Reads an address of a target: one word, or two for control and data. Throws MR_ERR_NETWORK_URI, MR_ERR_PIPE_PAIR. */
export function parseTarget(text: string): Place {
  const [first = '', second, ...more] = text.split(' ');
  if (more.length > 0) throw refused(text, 'at most two addresses, for control and for data');
  if (second !== undefined) return { kind: 'relay', route: parseRoute(text) };
  const { hops, to } = parseHops(first);
  if (to.kind === 'path' && hops.length === 0) return { kind: 'directory', path: to.path };
  if (to.kind !== 'relay' && to.kind !== 'endpoint')
    throw refused(text, 'expected net://HOST, control and data apart, or a directory');
  return { kind: 'relay', route: parseRoute(text) };
}

/** Opens a target. Errors later are those of the sink. */
export async function openTarget(uri: string, options: TargetOptions): Promise<OpenTarget> {
  const place = parseTarget(uri);
  return place.kind === 'relay' ? openRelay(place.route, options) : openDirectory(uri, place.path);
}

async function openRelay(
  { uri, control, data, via, path }: Route,
  options: TargetOptions,
): Promise<OpenTarget> {
  const { relaySink } = await import('../relay/client/relay-sink.ts');
  const sink: RelaySink = relaySink({
    ...options,
    control,
    data,
    via,
    ...(path === '' ? {} : { rename: (open) => ({ ...open, basePath: path }) }),
  });
  const delivered = (): Delivered => {
    const { packets, bytes, metadataBytes, acknowledgedPackets, outputPath } = sink.progress;
    return { uri, packets, bytes, metadataBytes, acknowledgedPackets, outputPath };
  };
  return { sink, delivered };
}

async function openDirectory(uri: string, path: string): Promise<OpenTarget> {
  const { storeSink } = await import('../disk/store-sink.ts');
  const sink = storeSink({ outputPath: path });
  const delivered = (): Delivered => {
    const { packets, bytes, metadataBytes } = sink.totals;
    return { uri, packets, bytes, metadataBytes, acknowledgedPackets: packets, outputPath: path };
  };
  return { sink, delivered };
}

function refused(sink: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_PIPE_PAIR', { source: 'a trace', sink, why });
}
