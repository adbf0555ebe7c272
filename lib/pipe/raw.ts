/** A source's frames as lines of text: what `millrace view --raw` prints. */
import { PassThrough, type Readable, Writable } from 'node:stream';
import { MillraceError } from '../errors.ts';
import { parseLiveUri, parseUri, type Uri } from '../network/uri.ts';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import { compose, type Outcome } from '../stage/compose.ts';
import { meter } from '../stage/meter.ts';
import { rawLine } from '../viewer/raw.ts';
import { type EndOptions, type OpenSource, openSource, sourceKindOf } from './ends.ts';
import { missingOf } from './missing.ts';

/** What to show, and where. */
export interface RawOptions {
  /** Any source of a pipe; a live session also in babeltrace2's form `net://…/host/…`. */
  source: string;
  /** Go on with a directory that others are writing. */
  follow: boolean;
  out: Writable;
  stdin(): Readable;
  /** Ends it without an error. */
  signal: AbortSignal;
}

/**
 * Prints until the source ends. Resolves with how it went and what is missing. Rejects MR_ERR_NETWORK_URI and
 * MR_ERR_PIPE_PAIR for what is no source.
 */
export async function viewRaw(options: RawOptions): Promise<{ outcome: Outcome; missing: string[] }> {
  const { out, signal } = options;
  const source = await openViewSource(options);
  const { stage: counting, passed } = meter();
  const pipe = compose([
    ...source.stages,
    { name: 'meter', stream: counting },
    { name: 'text', stream: rawSink(out) },
  ]);
  const stop = () => pipe.abort();
  signal.addEventListener('abort', stop, { once: true });
  const outcome = await pipe.outcome;
  signal.removeEventListener('abort', stop);
  return { outcome, missing: missingOf(source, passed) };
}

/** Opens what is to be looked at. Rejects as `viewRaw` does. */
export async function openViewSource({
  source: text,
  follow,
  stdin,
}: Pick<RawOptions, 'source' | 'follow' | 'stdin'>): Promise<OpenSource> {
  const uri = sourceUri(text);
  const kind = await sourceKindOf(uri);
  if ('why' in kind)
    throw new MillraceError('MR_ERR_PIPE_PAIR', { source: uri.text, sink: 'text', why: kind.why });
  const open = openSource[kind.kind] as (uri: Uri, options: EndOptions) => Promise<OpenSource>;
  // A source has no use for where its frames go.
  return open(uri, { stdin, stdout: new PassThrough(), strict: false, follow });
}

/** Streaming into a relay is no source, so `net://` can only be meant as babeltrace2 means it. */
function sourceUri(text: string): Uri {
  return /^net[46]?:\/\//i.test(text) ? parseLiveUri(text) : parseUri(text);
}

/** Lines of the frames of a batch in one write; the next batch waits until they are taken. */
function rawSink(out: Writable): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(batch: FrameBatch, _encoding, callback) {
      const lines = batch.frames.map((frame) => `${rawLine(frame)}\n`).join('');
      releaseBatch(batch);
      out.write(lines, callback);
    },
  });
}
