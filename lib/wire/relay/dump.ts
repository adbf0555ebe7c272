/** Conversations as annotated hex, for people. Nothing here refuses bytes: broken ones are why one looks. */

import { layoutAt } from '../versions.ts';
import { replyLayout } from './codec.ts';
import { type CommandName, relayCommands } from './commands.ts';
import { requestHeader } from './headers.ts';

/** One request, header and payload, at a negotiated minor. `bytes` may be truncated. Ends without a newline. */
export function dumpRequest(bytes: Buffer, minor: number): string {
  const header = requestHeader.dump(bytes);
  if (bytes.length < requestHeader.minSizeBytes) return `request\n${header}`;
  const { command: code, dataSizeBytes } = requestHeader.decode(bytes);
  const row = relayCommands.get(code);
  const payload = bytes.subarray(requestHeader.minSizeBytes);
  const layout = row && layoutAt(row.request, minor, Number(dataSizeBytes));
  const title = `${row?.name ?? `command ${code}`}, minor ${minor}, payload ${dataSizeBytes} bytes`;
  const lines = [title, header, layout?.dump(payload)];
  const known = layout?.fixedSizeBytes ?? (layout === undefined ? 0 : payload.length);
  if (payload.length > known) lines.push(`      ${payload.length - known} bytes more`);
  return lines.filter((line) => line !== undefined && line !== '').join('\n');
}

/** One reply at a negotiated minor. `bytes` may be truncated. Ends without a newline. */
export function dumpReply(command: CommandName, minor: number, bytes: Buffer): string {
  const layout = replyLayout(command, minor);
  return layout === undefined ? `${command} has no reply` : `reply to ${command}\n${layout.dump(bytes)}`;
}
