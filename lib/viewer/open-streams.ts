/** The data streams of a view, each with its code, its packets and its place among the others. */
import type { ScopeValues } from '../ctf/decode/values-emitter.ts';
import type { DataStream } from './data-streams.ts';
import { FileSupply } from './file-supply.ts';
import type { Ranked } from './merge.ts';
import { StreamMessages } from './messages.ts';
import { ClockReader } from './moment.ts';
import { intersectionOf, type TimeRange } from './range.ts';
import { rankStreams } from './rank.ts';
import { StreamCode } from './stream-code.ts';
import type { Trace } from './trace.ts';
import type { ViewOptions } from './view-options.ts';

const mostWindowBytes = 262_144;
const leastWindowBytes = 16_384;
/** Memory for the windows of all streams. */
const windowsBytes = 33_554_432;

export interface OpenStream extends Ranked {
  stream: DataStream;
  /** The packet that the part begins with which is run. */
  from: number;
  /** Its messages, from where the supply stands. */
  open(): StreamMessages;
  supply: FileSupply;
  /** Of its trace, where only the intersection counts. */
  range: TimeRange | undefined;
}

/** Nothing is read yet; who gets them closes their supplies. */
export function openStreams(
  options: ViewOptions,
  traces: readonly Trace[],
  streams: readonly DataStream[],
): OpenStream[] {
  const { format, clockOffset, wants = () => true } = options;
  const codes = new Map<object, StreamCode>();
  const windowBytes = Math.min(
    mostWindowBytes,
    Math.max(leastWindowBytes, Math.floor(windowsBytes / Math.max(streams.length, 1))),
  );
  const ranges = options.intersection ? intersectionOf(traces, streams, clockOffset) : undefined;
  return rankStreams(streams).map(({ stream, rank, pathRank }) => {
    const { layout, trace } = stream;
    let code = codes.get(layout);
    if (code === undefined) {
      code = new StreamCode(trace, layout, format, wants);
      codes.set(layout, code);
    }
    const clock = layout.clock && new ClockReader(layout.clock, clockOffset);
    const supply = new FileSupply(stream, windowBytes, options.isAlone === true);
    const { where } = options;
    const passes = where && ((scopes: ScopeValues) => where(scopes, trace));
    const open = () => new StreamMessages(code, clock, supply, passes);
    return { stream, supply, rank, pathRank, open, from: 0, messages: open(), range: ranges?.get(trace) };
  });
}
