/**
 * Where a consumer streams to, by its address: `net://HOST`, or control and data apart (two words). Every
 * kind loads the room that it needs, and no other.
 */
import type { Writable } from 'node:stream';
import { MillraceError } from '../errors.ts';
import { parseHops, type RelayTarget, relayTarget } from '../network/relay-target.ts';
import { parseUri, type Uri } from '../network/uri.ts';
import type { RelaySink, RelaySinkOptions } from '../relay/client/options.ts';

/** How to speak to a relay; see `RelaySinkOptions`. */
export type TargetOptions = Omit<RelaySinkOptions, 'control' | 'data' | 'rename'>;

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

/** Reads an address of a target: one word, or two for control and data. Throws MR_ERR_NETWORK_URI, MR_ERR_PIPE_PAIR. */
export function parseTarget(text: string): RelayTarget {
  const [first = '', second, ...more] = text.split(' ');
  if (more.length > 0) throw refused(text, 'at most two addresses, for control and for data');
  if (second !== undefined) return relayTarget(parseUri(first), parseUri(second));
  const { hops, to } = parseHops(first);
  if (hops.length > 0) throw refused(text, 'hops are for a relay that forwards');
  return relayOf(text, to);
}

function relayOf(text: string, to: Uri): RelayTarget {
  if (to.kind !== 'relay' && to.kind !== 'endpoint')
    throw refused(text, 'expected net://HOST, or control and data apart');
  return relayTarget(to);
}

/** Opens a target. Errors later are those of the sink. */
export async function openTarget(uri: string, options: TargetOptions): Promise<OpenTarget> {
  return openRelay(uri, parseTarget(uri), options);
}

async function openRelay(
  uri: string,
  { control, data, path }: RelayTarget,
  options: TargetOptions,
): Promise<OpenTarget> {
  const { relaySink } = await import('../relay/client/relay-sink.ts');
  const sink: RelaySink = relaySink({
    ...options,
    control,
    data,
    ...(path === '' ? {} : { rename: (open) => ({ ...open, basePath: path }) }),
  });
  const delivered = (): Delivered => {
    const { packets, bytes, metadataBytes, acknowledgedPackets, outputPath } = sink.progress;
    return { uri, packets, bytes, metadataBytes, acknowledgedPackets, outputPath };
  };
  return { sink, delivered };
}

function refused(sink: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_PIPE_PAIR', { source: 'a trace', sink, why });
}
