/** Opens the ends of a pipe. Every row loads the room that it needs, and no other. */
import type { Readable, Writable } from 'node:stream';
import type { Uri } from '../network/uri.ts';
import type { NamedStage } from '../stage/compose.ts';
import type { SinkKind, SourceKind } from './pairs.ts';

/** What every end may use. */
export interface EndOptions {
  /** Asked for when a frame log comes from there. */
  stdin(): Readable;
  stdout: Writable;
  /** Refuse oddities of real peers. */
  strict: boolean;
}

/** An opened source: the stages that bring its frames into the order of the grammar. */
export interface OpenSource {
  stages: NamedStage[];
  /** Why what it brought was not all, once it has ended; undefined: it was. */
  missing(): string | undefined;
}

type OfKind<K extends Uri['kind']> = Extract<Uri, { kind: K }>;

/** The kind of a source by its address. */
export function sourceKindOf(uri: Uri): SourceKind | undefined {
  return uri.kind === 'capture' || uri.kind === 'stdio' ? uri.kind : undefined;
}

/** The kind of a sink by its address. */
export function sinkKindOf(uri: Uri): SinkKind | undefined {
  return uri.kind === 'capture' || uri.kind === 'stdio' ? uri.kind : undefined;
}

/** How each kind of source is opened. Errors are those of the source, when it is read. */
export const openSource: {
  readonly [K in SourceKind]: (uri: OfKind<K>, options: EndOptions) => Promise<OpenSource>;
} = {
  capture: ({ path }, options) => frameLog({ path }, options),
  stdio: (_, options) => frameLog({ stream: options.stdin(), name: 'standard input' }, options),
};

/** How each kind of sink is opened. */
export const openSink: {
  readonly [K in SinkKind]: (uri: OfKind<K>, options: EndOptions) => Promise<NamedStage>;
} = {
  async capture({ path }) {
    const { captureSink } = await import('../disk/capture-sink.ts');
    const { createLogFile } = await import('../disk/log-writer.ts');
    return { name: `capture ${path}`, stream: captureSink(createLogFile(path, { content: 'frames' })) };
  },
  async stdio(_, { stdout }) {
    const { captureSink } = await import('../disk/capture-sink.ts');
    const { createLogStream } = await import('../disk/log-writer.ts');
    const name = 'standard output';
    return { name, stream: captureSink(createLogStream(stdout, { content: 'frames' }, name)) };
  },
};

async function frameLog(
  input: { path: string } | { stream: Readable; name: string },
  { strict }: EndOptions,
): Promise<OpenSource> {
  const { captureSource } = await import('../disk/capture-source.ts');
  const { order } = await import('../stage/order.ts');
  const source = captureSource(input);
  const name = 'path' in input ? `capture ${input.path}` : input.name;
  return {
    stages: [
      { name, stream: source },
      { name: 'order', stream: order({ strict }) },
    ],
    missing: () => (source.torn ? `${name} breaks off in the middle of a record` : undefined),
  };
}
