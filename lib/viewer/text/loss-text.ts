/** Lines about lost events and packets. Source: ctf, "Lost events and packets". */

import { uuidText } from '../../ctf/trace-class.ts';
import type { DataStream } from '../data-streams.ts';
import type { Loss } from '../losses.ts';
import type { TimeText } from './time-text.ts';

const yellow = { before: '\x1b[33m\x1b[1mWARNING\x1b[0m\x1b[33m', after: '\x1b[0m' };
const plain = { before: 'WARNING', after: '' };

/** The line, without its end. `color`: for a terminal. */
export function lossText(
  { what, count, range }: Loss,
  stream: DataStream,
  time: TimeText,
  color: boolean,
): string {
  const { before, after } = color ? yellow : plain;
  const { trace } = stream;
  const lost =
    count === undefined
      ? `may have discarded ${what}s`
      : `discarded ${count} ${what}${count === 1n ? '' : 's'}`;
  const when =
    range === undefined
      ? '(unknown time range)'
      : `between [${time.textOf(range.begin)}] and [${time.textOf(range.end)}]`;
  const uuid = trace.class.uuid === undefined ? '(no UUID) ' : `(UUID: ${uuidText(trace.class.uuid)}) `;
  const name = trace.name === undefined ? '(unknown)' : `"${trace.name}"`;
  return (
    `${before}: Tracer ${lost} ${when} in trace ${name} ${uuid}within stream "${stream.path}" ` +
    `(stream class ID: ${stream.layout.stream.id}, stream ID: ${stream.id}).${after}`
  );
}
