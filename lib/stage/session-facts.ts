/** Who traced: from the environment in the metadata, else from the names of directories. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import type { TraceClass } from '../ctf/trace-class.ts';
import { limits } from '../limits.ts';
import type { SessionOpen } from './frames.ts';

/** What the caller knows better than the trace. */
export interface SessionNames {
  hostname?: string | undefined;
  sessionName?: string | undefined;
  /** Microseconds; with which the frames' receiver is to serve viewers. 0, the default: not live. */
  liveTimerUs?: number | undefined;
}

/** Trace chunks came with 2.11, CTF 2 with 2.15. Source: relay-protocol, "Versions". */
const minorOf = { 'ctf-1.8': 11, 'ctf-2': 15 } as const;
/** `SESSION-DATE`, and what a store appends where that is taken. */
const dated = /^(.+)-(\d{8}-\d{6})(?:\.\d+)?$/;

/** What directories say: the session's own, and the one around it where that is the relay's, not the user's. */
interface Directories {
  own: string;
  around: string | undefined;
}

/**
 * A session's opening frame. `path`: the session's directory below the one that was given, or its name at a relay;
 * `given`: that directory; `trace`: one of its traces; `writtenS`: when its metadata was written, seconds since 1970,
 * if nothing says when the session was made.
 *
 * Where directories are called as relays call them, that is what the session is called: a copy may have another name
 * than its metadata says. Source: relay-behaviour, "Output folders".
 */
export function sessionFacts(
  session: number,
  { path, given }: { path: string; given: string },
  trace: TraceClass | undefined,
  writtenS: bigint,
  names: SessionNames,
): SessionOpen {
  const text = (name: string): string | undefined => {
    const value = trace?.environment.get(name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const own = basename(path === '' ? given : path);
  const around = path.includes('/') ? basename(dirname(path)) : undefined;
  const traced = { hostname: text('hostname'), sessionName: text('trace_name') };
  const named = namesOf({ own, around }, traced);
  const sessionName = names.sessionName ?? named.sessionName;
  const created = named.stamp ?? text('trace_creation_datetime');
  return {
    kind: 'sessionOpen',
    session,
    hostname: safe(names.hostname ?? named.hostname ?? hostname(), limits.hostnameLength),
    sessionName: safe(sessionName, limits.sessionNameLength),
    sessiondUuid: randomBytes(16).toString('hex'),
    idSessiond: BigInt(session),
    creationTimeS: (created === undefined ? undefined : timeOfDate(created)) ?? writtenS,
    nameHasCreationTime: dated.test(sessionName),
    basePath: '',
    liveTimerUs: names.liveTimerUs ?? 0,
    snapshot: false,
    minor: minorOf[trace?.format ?? 'ctf-1.8'],
    traceFormat: trace?.format ?? 'ctf-1.8',
  };
}

type Traced = Record<'hostname' | 'sessionName', string | undefined>;

/** `stamp`: when the session was made, in local time, where a directory is called so. */
function namesOf(
  { own, around }: Directories,
  traced: Traced,
): { hostname: string | undefined; sessionName: string; stamp: string | undefined } {
  const [, stem, stamp] = dated.exec(own) ?? [];
  if (stem === undefined || stamp === undefined)
    return { hostname: traced.hostname, sessionName: traced.sessionName ?? own, stamp: undefined };
  // Grouped by session: SESSION/HOST-DATE
  if (around !== undefined && stem === traced.hostname && around === traced.sessionName)
    return { hostname: stem, sessionName: around, stamp };
  const hasDate = own === traced.sessionName;
  return { hostname: around ?? traced.hostname, sessionName: hasDate ? own : stem, stamp };
}

/** A trace may call itself anything; sinks make directories of it. */
function safe(name: string, maxLength: number): string {
  const clean = name.replace(/[/\p{Cc}]/gu, '_').replace(/^\./, '_');
  return (clean === '' ? '_' : clean).slice(0, maxLength);
}

const date = /^(\d{4})(\d\d)(\d\d)[T-]?(\d\d)(\d\d)(\d\d)(?:([+-])(\d\d)(\d\d))?$/;

/**
 * Seconds since 1970 of `YYYYMMDDThhmmss±hhmm`, or of `YYYYMMDD-hhmmss` in local time; undefined: it is no date.
 */
export function timeOfDate(text: string): bigint | undefined {
  const [, y, mo, d, h, mi, s, sign, zh, zm] = date.exec(text) ?? [];
  if (y === undefined) return undefined;
  const [year, month, day, hour, minute, second] = [y, mo, d, h, mi, s].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (sign === undefined) {
    const local = new Date(year, month - 1, day, hour, minute, second).getTime();
    return BigInt(Math.floor(local / 1000));
  }
  const zone = (Number(zh) * 60 + Number(zm)) * 60 * (sign === '+' ? 1 : -1);
  return BigInt(Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - zone);
}
