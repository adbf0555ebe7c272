/** Conversations as annotated hex, for people. Nothing here refuses bytes: broken ones are why one looks. */
import { viewerReplyLayout } from './codec.ts';
import { type ViewerCommandName, viewerCommandRows, viewerCommands } from './commands.ts';
import { viewerHeader } from './headers.ts';

/** One request, header and payload. `bytes` may be truncated. Ends without a newline. */
export function dumpViewerRequest(bytes: Buffer): string {
  const header = viewerHeader.dump(bytes);
  if (bytes.length < viewerHeader.minSizeBytes) return `request\n${header}`;
  const { command: code, dataSizeBytes } = viewerHeader.decode(bytes);
  const row = viewerCommands.get(code);
  const layout = row?.request[0]?.[1];
  const payload = bytes.subarray(viewerHeader.minSizeBytes);
  const lines = [
    `${row?.name ?? `command ${code}`}, payload ${dataSizeBytes} bytes`,
    header,
    layout?.dump(payload),
  ];
  const more = payload.length - (layout?.fixedSizeBytes ?? 0);
  if (more > 0) lines.push(`      ${more} bytes more`);
  return lines.filter((line) => line !== undefined && line !== '').join('\n');
}

/** One reply at a negotiated minor, its head where bytes follow. `bytes` may be truncated. Ends without a newline. */
export function dumpViewerReply(command: ViewerCommandName, minor: number, bytes: Buffer): string {
  const layout = viewerReplyLayout(command, minor);
  const lines = [`reply to ${command}`, layout.dump(bytes)];
  const more = bytes.length - layout.minSizeBytes;
  if (viewerCommandRows[command].body === 'pass' && more > 0) lines.push(`      ${more} bytes of data`);
  return lines.join('\n');
}
