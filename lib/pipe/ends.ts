/** Opens the ends of a pipe. Every row loads the room that it needs, and no other. */
import { open, stat } from 'node:fs/promises';
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
  /** Go on with a directory that others are writing. */
  follow: boolean;
  /** Frames of a log at the pace at which they were written (1), or faster; undefined: at once. */
  speed?: number | undefined;
  /** Told where a source listens. */
  listening?:
    | ((ports: { control: { host: string; port: number }; data: { host: string; port: number } }) => void)
    | undefined;
}

/** An opened source: the stages that bring its frames into the order of the grammar. */
export interface OpenSource {
  stages: NamedStage[];
  /** Why what it brought was not all, once it has ended; undefined: it was. */
  missing(): string | undefined;
  /** Ends it in good order, where it can do that better than by being cut off. */
  finish?(): Promise<void>;
}

type OfKind<K extends Uri['kind']> = Extract<Uri, { kind: K }>;

/** What an address is at an end of a pipe, or why it is nothing there. */
export type KindOf<K> = { kind: K } | { why: string };

/** An address as a source. A file is looked into: one that holds a frame log should be called so. */
export async function sourceKindOf(uri: Uri): Promise<KindOf<SourceKind>> {
  if (uri.kind === 'capture' || uri.kind === 'stdio') return { kind: uri.kind };
  if (uri.kind === 'live')
    return uri.target === undefined
      ? { why: `${uri.text} names no session, expected /host/HOSTNAME/SESSION` }
      : { kind: 'live' };
  if (uri.kind === 'relay') return { kind: 'relay' };
  if (uri.kind !== 'path') return { why: `${uri.text} is no source` };
  const found = await stat(uri.path).catch(() => undefined);
  if (found?.isFile() !== true) return { kind: 'directory' };
  const isLog = await holdsFrameLog(uri.path);
  return {
    why: isLog ? `it is a frame log: capture:${uri.path}` : `${uri.path} is a file, a trace is a directory`,
  };
}

/** An address as a sink. */
export function sinkKindOf(uri: Uri): KindOf<SinkKind> {
  if (uri.kind === 'capture' || uri.kind === 'stdio') return { kind: uri.kind };
  if (uri.kind === 'relay' || uri.kind === 'endpoint') return { kind: 'relay' };
  return uri.kind === 'path' ? { kind: 'directory' } : { why: `${uri.text} is no sink` };
}

/** Whether a file begins as frame logs do. */
export async function holdsFrameLog(path: string): Promise<boolean> {
  const { logMagic } = await import('../wire/frame-log.ts');
  const file = await open(path).catch(() => undefined);
  try {
    const { buffer, bytesRead } = (await file?.read(Buffer.alloc(8), 0, 8)) ?? { bytesRead: 0 };
    return bytesRead === 8 && buffer?.readBigUInt64BE(0) === logMagic;
  } finally {
    await file?.close();
  }
}

/** The address of each kind. */
interface SourceUri {
  relay: OfKind<'relay'>;
  directory: OfKind<'path'>;
  live: OfKind<'live'>;
  capture: OfKind<'capture'>;
  stdio: OfKind<'stdio'>;
}

/** How each kind of source is opened. Errors are those of the source, when it is read. */
export const openSource: {
  readonly [K in SourceKind]: (uri: SourceUri[K], options: EndOptions) => Promise<OpenSource>;
} = {
  async relay({ text, host, family, controlPort, dataPort }, { strict, listening }) {
    const { relaySource } = await import('../relay/relay-source.ts');
    const { order } = await import('../stage/order.ts');
    const here = host === 'localhost' ? (family === 6 ? '::1' : '127.0.0.1') : host;
    const source = relaySource({
      control: { host: here, port: controlPort },
      data: { host: here, port: dataPort },
      ...(listening && { onListening: listening }),
    });
    return {
      stages: [
        { name: text, stream: source },
        { name: 'order', stream: order({ strict }) },
      ],
      missing: () => undefined,
      finish: () => source.finish(),
    };
  },
  async directory({ path }, { follow }) {
    const { directorySource } = await import('../consumer/index.ts');
    let damages = 0;
    const damaged = () => {
      damages += 1;
    };
    return {
      stages: [{ name: path, stream: directorySource({ path, follow, damaged }) }],
      missing: () => (damages > 0 ? `${damages} parts of ${path} cannot be read` : undefined),
    };
  },
  async live({ text, host, port, family, target }) {
    const { liveSource } = await import('../relay/live-client/index.ts');
    const { hostname = '', sessionName = '' } = target ?? {};
    const address = { host, port, ...(family && { family }) };
    const stream = liveSource({ address, hostname, sessionName });
    return { stages: [{ name: text, stream }], missing: () => undefined };
  },
  capture: ({ path }, options) => frameLog({ path }, options),
  stdio: (_, options) => frameLog({ stream: options.stdin(), name: 'standard input' }, options),
};

/** The address of each kind. */
interface SinkUri {
  relay: OfKind<'relay' | 'endpoint'>;
  directory: OfKind<'path'>;
  capture: OfKind<'capture'>;
  stdio: OfKind<'stdio'>;
}

/** How each kind of sink is opened. */
export const openSink: {
  readonly [K in SinkKind]: (uri: SinkUri[K], options: EndOptions) => Promise<NamedStage>;
} = {
  async relay({ text }) {
    const { openTarget } = await import('./target.ts');
    const { sink } = await openTarget(text, {});
    return { name: text, stream: sink };
  },
  async directory({ path }) {
    const { storeSink } = await import('../disk/store-sink.ts');
    return { name: path, stream: storeSink({ outputPath: path }) };
  },
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
  { strict, speed }: EndOptions,
): Promise<OpenSource> {
  const { captureSource } = await import('../disk/capture-source.ts');
  const { order } = await import('../stage/order.ts');
  const source = captureSource(input, speed === undefined ? {} : { speed });
  const name = 'path' in input ? `capture ${input.path}` : input.name;
  return {
    stages: [
      { name, stream: source },
      { name: 'order', stream: order({ strict }) },
    ],
    missing: () => (source.torn ? `${name} breaks off in the middle of a record` : undefined),
  };
}
