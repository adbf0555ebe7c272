/**
 * Where a session's traces lie below the output directory. Source: relay-behaviour, "Output folders"; the
 * results equal lttng-relayd's, whose users have scripts that expect them.
 */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { SessionOpen } from '../stage/frames.ts';
import { checkPath, checkVisible } from './names.ts';

export type Grouping = 'host' | 'session';

/** `YYYYMMDD-hhmmss` in local time, as in session directories. `timeS`: seconds since 1970. */
export function dateOfSession(timeS: number): string {
  const { date, time } = local(timeS);
  return `${date}-${time}`;
}

/** `YYYYMMDDThhmmss±hhmm` in local time, as in the names of trace chunks. `timeS`: seconds since 1970. */
export function dateOfChunk(timeS: number): string {
  const { date, time, zone } = local(timeS);
  return `${date}T${time}${zone}`;
}

/**
 * Checks what a producer from 2.4 on calls its session and its host: each may become a directory, or a part of one's
 * name. Errors: MR_ERR_DISK_NAME.
 */
export function checkNames({ sessionName, hostname }: SessionOpen): void {
  checkVisible('host name', hostname);
  checkVisible('session name', sessionName);
}

/**
 * Components of a session's directory, producers from 2.11 on. Errors: MR_ERR_DISK_NAME for names that are no
 * safe directory names, or together make a path that does not fit a reply.
 */
export function sessionPath(session: SessionOpen, grouping: Grouping): string[] {
  const components = componentsOf(session, grouping);
  const bytes = Buffer.byteLength(components.join('/'));
  if (bytes + 1 >= limits.replyPathBytes) {
    const why = `its path has ${bytes} bytes, fewer than ${limits.replyPathBytes - 1} fit a reply`;
    throw new MillraceError('MR_ERR_DISK_NAME', { what: 'session', name: session.sessionName, why });
  }
  return components;
}

function componentsOf(session: SessionOpen, grouping: Grouping): string[] {
  const hostname = checkVisible('host name', session.hostname);
  const name = checkVisible('session name', session.sessionName);
  const base = checkPath('base path', session.basePath);
  const date = dateOfSession(Number(session.creationTimeS ?? 0n));
  if (grouping === 'session') return [name, checkVisible('host name', `${hostname}-${date}`), ...base];
  if (base.length > 0) return [hostname, ...base];
  return [hostname, checkVisible('session name', session.nameHasCreationTime ? name : `${name}-${date}`)];
}

/**
 * Components of a stream's directory below the output directory, producers before 2.11, which send it whole
 * (`/HOST/NAME-DATE/ust/uid/0/64-bit`). Grouped by session, the first two parts change places.
 * `nowS`: when the relay made the session. Errors: MR_ERR_DISK_NAME.
 */
export function oldStreamPath(
  path: string,
  session: SessionOpen,
  grouping: Grouping,
  nowS: number,
): string[] {
  const parts = checkPath('stream path', path, 1);
  const name = session.sessionName;
  // Producers before 2.4 send no session name: nothing to group by.
  if (grouping === 'host' || name === '' || parts.length < 2) return parts;
  const [hostname, second, ...rest] = parts as [string, string, ...string[]];
  const ownDate = /-(\d{8}-\d{6})$/.exec(name)?.[1];
  const now = ownDate ?? dateOfSession(nowS);
  if (second === name) return [name, `${hostname}-${now}`, ...rest];
  if (!second.startsWith(name)) return [name, `${hostname}-${now}`, second, ...rest];
  const date = /^-(\d{8}-\d{6})$/.exec(second.slice(name.length))?.[1];
  return date === undefined ? [name, hostname, second, ...rest] : [name, `${hostname}-${date}`, ...rest];
}

function local(timeS: number): { date: string; time: string; zone: string } {
  const at = new Date(timeS * 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  const east = -at.getTimezoneOffset();
  return {
    date: `${String(at.getFullYear()).padStart(4, '0')}${two(at.getMonth() + 1)}${two(at.getDate())}`,
    time: `${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`,
    zone: `${east < 0 ? '-' : '+'}${two(Math.floor(Math.abs(east) / 60))}${two(Math.abs(east) % 60)}`,
  };
}
