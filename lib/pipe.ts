/**
 * A pipe between two addresses: source, filters, sink, composed and watched. Which pairs there are says
 * `pipe/pairs.ts`; what an address means, `network/uri.ts`.
 */
import { MillraceError } from './errors.ts';
import { splitEndpoints } from './network/relay-target.ts';
import { parseUri, type Uri } from './network/uri.ts';
import { type EndOptions, openSink, openSource, sinkKindOf, sourceKindOf } from './pipe/ends.ts';
import { missingOf } from './pipe/missing.ts';
import { pairs, type SinkKind, type SourceKind } from './pipe/pairs.ts';
import { compose, type NamedStage, type Outcome } from './stage/compose.ts';
import { gate } from './stage/gate.ts';
import { meter, type Passed } from './stage/meter.ts';
import { nameMatcher, select } from './stage/select.ts';

export { holdsFrameLog } from './pipe/ends.ts';
export { type RawOptions, viewRaw } from './pipe/raw.ts';
export { type LiveViewRun, viewLive } from './pipe/view.ts';

/** What to connect, and what of it. */
export interface PipeOptions
  extends Partial<Pick<EndOptions, 'strict' | 'follow' | 'listening' | 'speed'>>,
    Pick<EndOptions, 'stdin' | 'stdout'> {
  source: string;
  sink: string;
  /** Patterns of session names, or of `HOSTNAME/SESSION`; absent or none: all. */
  sessions?: readonly string[];
  /** Patterns of channel names, or of `PATH/NAME`, for data streams; absent or none: all. */
  streams?: readonly string[];
  /** Only packets in which something may have happened from then on, until then; nanoseconds since 1970. */
  beginNs?: bigint;
  endNs?: bigint;
}

/** How a pipe went. */
export interface PipeReport extends Passed {
  outcome: Outcome;
  /** What is missing although the pipe came to its end; empty: nothing. */
  missing: string[];
  elapsedMs: number;
}

/** A pipe at work. */
export interface RunningPipe {
  /** What has passed so far; goes on. */
  readonly passed: Readonly<Passed>;
  /** Never rejects. */
  readonly done: Promise<PipeReport>;
  /** Ends it in good order: what has been read goes through, sessions that are open are closed. */
  stop(): void;
  /** Ends it now. */
  abort(): void;
}

/**
 * Opens both ends and lets the frames flow. Rejects MR_ERR_NETWORK_URI and MR_ERR_PIPE_PAIR; what goes wrong later is
 * in the report.
 */
export async function openPipe(options: PipeOptions): Promise<RunningPipe> {
  const { stdout, strict = false, follow = false, listening, speed } = options;
  const ends: EndOptions = { stdin: () => options.stdin(), stdout, strict, follow, listening, speed };
  const from = parseUri(options.source, { listen: true });
  const places = splitEndpoints(options.sink);
  const to = { ...parseUri(places[0] ?? ''), text: places.join(' ') };
  const [sourceKind, sinkKind] = await kindsOf(from, to);
  const open = openSource[sourceKind] as (
    uri: Uri,
    options: EndOptions,
  ) => ReturnType<(typeof openSource)['stdio']>;
  const source = await open(from, ends);
  const sink = await (openSink[sinkKind] as (uri: Uri, options: EndOptions) => Promise<NamedStage>)(to, ends);

  const startMs = performance.now();
  const { stage: counting, passed } = meter();
  const end = gate();
  const pipe = compose([
    ...source.stages.slice(0, 1),
    { name: 'gate', stream: end.stage },
    ...source.stages.slice(1),
    ...filters(options),
    ...(await spanOf(options)),
    { name: 'meter', stream: counting },
    sink,
  ]);
  const done = pipe.outcome.then((outcome): PipeReport => {
    const missing = missingOf(source, passed);
    return { ...passed, outcome, missing, elapsedMs: performance.now() - startMs };
  });
  const stop = (): void => {
    if (source.finish === undefined) end.shut();
    else source.finish().catch(() => pipe.abort());
  };
  return { passed, done, stop, abort: () => pipe.abort() };
}

async function kindsOf(from: Uri, to: Uri): Promise<[SourceKind, SinkKind]> {
  const [source, sink] = [await sourceKindOf(from), sinkKindOf(to)];
  const refuse = (why: string) =>
    new MillraceError('MR_ERR_PIPE_PAIR', { source: from.text, sink: to.text, why });
  if ('why' in source) throw refuse(source.why);
  if ('why' in sink) throw refuse(sink.why);
  if (!pairs.some((pair) => pair.source === source.kind && pair.sink === sink.kind))
    throw refuse('that is none of the useful pairs');
  return [source.kind, sink.kind];
}

function filters({ sessions = [], streams = [] }: PipeOptions): NamedStage[] {
  if (sessions.length === 0 && streams.length === 0) return [];
  const [session, stream] = [nameMatcher(sessions), nameMatcher(streams)];
  const stage = select({
    session: ({ hostname, sessionName }) => session(sessionName) || session(`${hostname}/${sessionName}`),
    stream: ({ path, channelName }) => stream(channelName) || stream(`${path}/${channelName}`),
  });
  return [{ name: 'select', stream: stage }];
}

/** Judging packets by time needs their clocks, and the room that reads metadata. */
async function spanOf({ beginNs, endNs }: PipeOptions): Promise<NamedStage[]> {
  if (beginNs === undefined && endNs === undefined) return [];
  const { timeRange } = await import('./stage/time-range.ts');
  const { clockOf } = await import('./pipe/clock.ts');
  const span = { ...(beginNs !== undefined && { beginNs }), ...(endNs !== undefined && { endNs }) };
  return [{ name: 'time', stream: timeRange({ ...span, clockOf }) }];
}
