/** The network consumer: a source of frames, and a target that can be changed while they flow. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { Consumer, type ConsumerStatus } from '../consumer/index.ts';
import { MillraceError } from '../errors.ts';
import { parseUri, type Uri } from '../network/uri.ts';
import { compose, type NamedStage, type Outcome } from '../stage/compose.ts';
import { rate } from '../stage/fault/rate.ts';
import type { SessionOpen } from '../stage/frames.ts';
import { gate } from '../stage/gate.ts';
import { meter, type Passed } from '../stage/meter.ts';
import { pieces } from '../stage/pieces.ts';
import { openSource, sourceKindOf } from './ends.ts';
import { missingOf } from './missing.ts';
import { type Delivered, type OpenTarget, openTarget, parseTarget, type TargetOptions } from './target.ts';

export interface ConsumeOptions extends TargetOptions {
  source: string;
  /** One address, or two with a blank between: control and data. */
  to: string;
  /** Replaces what the trace says of itself. */
  sessionName?: string;
  hostname?: string;
  /** Microseconds; makes sessions live at the relay. */
  liveTimerUs?: number;
  bytesPerSecond?: number;
  strict?: boolean;
  stdin(): Readable;
}

export interface ConsumeReport extends Passed {
  outcome: Outcome;
  /** What is missing although it came to its end; empty: nothing. */
  missing: string[];
  elapsedMs: number;
  /** By target, in the order in which they were opened. */
  delivered: Delivered[];
}

/** A consumer at work. */
export interface RunningConsumer {
  readonly passed: Readonly<Passed>;
  /** Bytes of data and metadata that the source holds; undefined where that is not known. */
  readonly totalBytes: number | undefined;
  readonly status: ConsumerStatus & { delivered: Delivered[] };
  /** Never rejects. */
  readonly done: Promise<ConsumeReport>;
  /** Another target. Rejects with why not. */
  setUri(uri: string): Promise<void>;
  enable(): Promise<void>;
  disable(): Promise<void>;
  /** Ends it in good order: what has been read goes through, sessions that are open are closed. */
  stop(): void;
  /** Ends it now. */
  abort(): void;
}

/** A narrow link is paced in pieces of this part of a second, but not smaller than usual packets. */
const piecesPerSecond = 20;
const leastPieceBytes = 4096;

/** Opens both ends and lets the frames flow. Rejects MR_ERR_NETWORK_URI, MR_ERR_PIPE_PAIR; what goes wrong later is in the report. */
export async function openConsumer(options: ConsumeOptions): Promise<RunningConsumer> {
  parseTarget(options.to);
  const from = parseUri(options.source);
  const source = await openAny(from, options);
  const totalBytes = from.kind === 'path' ? await traceBytes(from.path) : undefined;
  const targets: OpenTarget[] = [];
  const consumer = new Consumer({
    uri: options.to,
    rename: (open) => renamed(open, options),
    async open(uri): Promise<Writable> {
      const target = await openTarget(uri, options);
      targets.push(target);
      return target.sink;
    },
  });
  const startMs = performance.now();
  const { stage: counting, passed } = meter();
  const end = gate();
  const { bytesPerSecond } = options;
  const narrow: NamedStage[] =
    bytesPerSecond === undefined
      ? []
      : [
          { name: 'pieces', stream: pieces(Math.max(leastPieceBytes, bytesPerSecond / piecesPerSecond)) },
          { name: 'rate', stream: rate({ bytesPerSecond }) },
        ];
  const pipe = compose([
    ...source.stages.slice(0, 1),
    { name: 'gate', stream: end.stage },
    ...source.stages.slice(1),
    ...narrow,
    { name: 'meter', stream: counting },
    { name: 'consumer', stream: consumer },
  ]);
  const delivered = () => targets.map((target) => target.delivered());
  const done = pipe.outcome.then((outcome): ConsumeReport => {
    const missing = missingOf(source, passed);
    const elapsedMs = performance.now() - startMs;
    return { ...passed, outcome, missing, elapsedMs, delivered: delivered() };
  });
  return {
    passed,
    totalBytes,
    get status() {
      return { ...consumer.status, delivered: delivered() };
    },
    done,
    async setUri(uri) {
      parseTarget(uri);
      await consumer.setUri(uri);
    },
    enable: () => consumer.enable(),
    disable: () => consumer.disable(),
    stop() {
      end.shut();
      // Nobody takes what waits in front of a target that is not there.
      if (consumer.status.state === 'disabled') pipe.abort();
    },
    abort: () => pipe.abort(),
  };
}

async function openAny(from: Uri, options: ConsumeOptions) {
  const { strict = false } = options;
  const stdin = () => options.stdin();
  const found = await sourceKindOf(from);
  if ('why' in found)
    throw new MillraceError('MR_ERR_PIPE_PAIR', { source: from.text, sink: 'a target', why: found.why });
  if (found.kind === 'relay') {
    const why = `${from.text} is no source of a consumer; a relay forwards (relay --forward), a pipe listens`;
    throw new MillraceError('MR_ERR_PIPE_PAIR', { source: from.text, sink: 'a target', why });
  }
  const open = openSource[found.kind] as (
    uri: Uri,
    options: { stdin(): Readable; strict: boolean },
  ) => ReturnType<(typeof openSource)['capture']>;
  return open(from, { stdin, strict });
}

function renamed(open: SessionOpen, { sessionName, hostname, liveTimerUs }: ConsumeOptions): SessionOpen {
  return {
    ...open,
    ...(sessionName === undefined ? {} : { sessionName, nameHasCreationTime: false }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(liveTimerUs === undefined ? {} : { liveTimerUs }),
  };
}

/** Sizes of the data and metadata files below a directory; what cannot be read counts as nothing. */
async function traceBytes(path: string): Promise<number> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      if (entry.name === 'index' || entry.name.startsWith('.')) return 0;
      const child = join(path, entry.name);
      if (entry.isDirectory()) return traceBytes(child);
      return entry.isFile() ? ((await stat(child).catch(() => undefined))?.size ?? 0) : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
