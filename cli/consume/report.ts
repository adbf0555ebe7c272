/** How a consumer ended, for programs and for people. */
import type { ConsumeReport, Delivered } from '../../lib/index.ts';
import { bytesText } from '../progress.ts';

/** One JSON object. */
export function asJson({ outcome, ...report }: ConsumeReport): string {
  const error =
    outcome.kind === 'error' ? { code: outcome.error.code, message: outcome.error.message } : undefined;
  const stage = outcome.kind === 'end' ? undefined : outcome.stage;
  return JSON.stringify({ outcome: outcome.kind, stage, error, ...report });
}

/** Lines for standard error: what each target has, then what went wrong. */
export function asText({ outcome, delivered, lost, missing, elapsedMs }: ConsumeReport): string {
  const lines = delivered.map(deliveredText);
  if (outcome.kind === 'end') lines.push(`done in ${(elapsedMs / 1000).toFixed(1)} s`);
  if (lost > 0) lines.push(`${lost} packets are lost`);
  if (outcome.kind === 'error') lines.push(`${outcome.stage}: ${outcome.error.message}`);
  if (outcome.kind === 'error' && outcome.error.advice !== undefined) lines.push(outcome.error.advice);
  if (outcome.kind === 'abort') lines.push(`ended by ${outcome.stage} before its end`);
  if (delivered.length === 0) lines.push('nothing was delivered');
  return [...lines, ...missing].map((line) => `millrace consume: ${line}\n`).join('');
}

function deliveredText({
  uri,
  packets,
  acknowledgedPackets,
  bytes,
  metadataBytes,
  outputPath,
}: Delivered): string {
  const open = packets - acknowledgedPackets;
  const sent = `${acknowledgedPackets} packets${open > 0 ? ` (${open} more sent)` : ''}, ${bytesText(bytes + metadataBytes)}`;
  return `${uri}: ${sent}${outputPath === '' ? '' : `, in ${outputPath}`}`;
}
