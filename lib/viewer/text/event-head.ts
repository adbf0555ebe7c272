/** What stands between the time and the scopes of a line: facts of the trace, and the event's name. */
import { bytesOfText } from '../../ctf/byte-text.ts';
import type { EventClass } from '../../ctf/trace-class.ts';
import type { StreamFacts } from '../line-format.ts';
import { paintOf, type TextStyle } from './style.ts';

/** Source: ctf, "Events and their blocks". */
export const logLevelNames =
  'EMERG ALERT CRIT ERR WARNING NOTICE INFO DEBUG_SYSTEM DEBUG_PROGRAM DEBUG_PROCESS DEBUG_MODULE DEBUG_UNIT DEBUG_FUNCTION DEBUG_LINE DEBUG'
    .split(' ')
    .map((name) => `TRACE_${name}`);

/** Bytes of the head, one character each. Source: ctf, "Trace fields" and "-n, names". */
export function eventHead({ trace, hasClock }: StreamFacts, event: EventClass, style: TextStyle): string {
  const { headerName, eventName, reset } = paintOf(style);
  const { fields, names } = style;
  const { environment } = trace.class;
  const text = (name: string): string | undefined => {
    const value = environment.get(name);
    return value === undefined ? undefined : String(value);
  };
  const vpid = text('vpid');
  const level = event.logLevel;
  // In this order, each with the name that it has in a header with names.
  const shown: (readonly [string, string | undefined])[] = [
    ['trace:hostname', fields.hostname ? text('hostname') : undefined],
    ['trace:domain', fields.domain ? text('domain') : undefined],
    ['trace:procname', fields.procname ? text('procname') : undefined],
    ['trace:vpid', fields.vpid && vpid !== undefined ? `(${vpid})` : undefined],
    ['loglevel', fields.loglevel && level !== undefined ? `${logLevelNames[level]} (${level})` : undefined],
    ['model.emf.uri', fields.emf ? event.emfUri : undefined],
  ];
  const present = shown.filter(([, value]) => value !== undefined);
  const traceName = trace.name ?? '';
  const name = `${eventName}${event.name === '' ? '<unknown>' : event.name}${reset}`;
  if (!names.header) {
    const facts = present.map(([, value]) => value).join(':');
    return bytes(`${fields.trace ? traceName : ''}${facts}${present.length > 0 ? ' ' : ''}${name}: `);
  }
  const comma = hasClock ? ', ' : '';
  const pair = (title: string, value: string) => `${comma}${headerName}${title}${reset} = ${value}`;
  const head = [
    ...(fields.trace ? [`${pair('trace', traceName)}, `] : []),
    ...present.map(([title, value]) => pair(title, value ?? '')),
    pair('name', `${name}, `),
  ];
  return bytes(head.join(''));
}

function bytes(text: string): string {
  return bytesOfText(text).toString('latin1');
}
