/** Which sources go into which sinks, as data: the table is the help of `millrace pipe` and what it refuses. */

/** What can stand at the beginning of a pipe. */
export const sourceKinds = {
  relay: 'net://HOST[:CTRL[:DATA]], net6://: be a relay there, and pass on what producers send',
  directory: 'DIR, file://DIR: a CTF trace, a session, or all output of a relay',
  live: 'live://HOST[:PORT]/host/HOSTNAME/SESSION: a session of a relay, as its viewer reads it',
  capture: 'capture:FILE: a frame log',
  stdio: '-: a frame log on standard input',
} as const;
export type SourceKind = keyof typeof sourceKinds;

/** What can stand at its end. */
export const sinkKinds = {
  relay:
    'net://HOST[:CTRL[:DATA]][/PATH], net6://, or control and data apart: tcp://…,tcp://… (udp://…): a relay',
  directory: 'DIR, file://DIR: stored as a relay would, below the name of the host',
  capture: 'capture:FILE: a frame log',
  stdio: '-: a frame log on standard output',
} as const;
export type SinkKind = keyof typeof sinkKinds;

/** A disk goes into a disk alone, on either side; `nbd copy` does the same. */
export const diskPair = {
  kind: 'IMAGE, nbd://HOST[:PORT][/EXPORT], nbds://, nbd+unix:///[EXPORT]?socket=PATH: a disk',
  source: 'disk',
  sink: 'disk',
  use: 'copy a disk',
} as const;

/** The useful pairs, and what each is for. */
const useful: Readonly<Record<SourceKind, Partial<Record<SinkKind, string>>>> = {
  relay: {
    relay: 'pass on what producers send; relay --forward outlives outages of the next one',
    capture: 'keep what producers send as frames',
    stdio: 'send what producers send through ssh',
  },
  directory: {
    relay: 'send a trace to a relay; consume does it with more choice',
    directory: 'store a trace anew, split as its chunks and tracefiles are',
    capture: 'pack a trace into one file',
    stdio: 'send a trace through ssh',
  },
  live: {
    relay: 'pass a live session on to another relay',
    directory: 'record a live session',
    capture: 'record a live session in one file',
    stdio: 'send a live session through ssh',
  },
  capture: {
    relay: 'play a frame log into a relay',
    directory: 'unpack a trace',
    capture: 'keep a part of a frame log',
    stdio: 'send a frame log through ssh',
  },
  stdio: {
    relay: 'pass on to a relay what comes through ssh',
    directory: 'store what comes through ssh',
    capture: 'keep what comes through ssh',
    stdio: 'keep a part of what comes through ssh',
  },
};

/** One useful pair. */
export interface Pair {
  source: SourceKind;
  sink: SinkKind;
  use: string;
}

/** All useful pairs, in the order of the tables. */
export const pairs: readonly Pair[] = (Object.keys(useful) as SourceKind[]).flatMap((source) =>
  (Object.entries(useful[source]) as Array<[SinkKind, string]>).map(([sink, use]) => ({ source, sink, use })),
);
