/**
 * What a scenario left behind, in a form in which two runs can be compared: times, process ids and random
 * ids are replaced by what they are, everything else stays as it is.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { metadataText, readStream } from './packets.ts';
import type { World } from './world.ts';

/** One CTF trace as files and as babeltrace2 reads it. */
export interface TraceOutcome {
  path: string;
  metadata: string;
  /** babeltrace2's exit status, and what it complains of; that is shown, not compared. */
  readStatus: number;
  complaint: string;
  /** Event names and fields in babeltrace2's text form, in its order, without time and host. */
  events: string[];
}

export interface Outcome {
  /** Every file and folder: type, mode, size where asked for, path. */
  tree: string[];
  /** One line for each packet; without the sizes where they depend on time. */
  packets: string[];
  /** Whatever does not fit together within a stream's files. */
  faults: string[];
  traces: TraceOutcome[];
}

/** Names with what changes from run to run replaced; process ids are numbered in their order. */
export function normaliser(): (text: string) => string {
  const pids: string[] = [];
  const nth = (pid: string) => {
    if (!pids.includes(pid)) pids.push(pid);
    return pids.indexOf(pid) + 1;
  };
  return (text) =>
    text
      .replace(/\d{8}T\d{6}[+-]\d{4}/g, 'TIME')
      .replace(/\d{8}-\d{6}/g, 'DATE')
      .replace(/\.{2,}|\.$/gm, '') // lttng prints a dot for each question that it repeats
      .replace(/\bemitter-(\d+)/g, (_, pid: string) => `emitter-PID${nth(pid)}`);
}

/** Reads everything below `outputPath`. `sizes`: whether packet boundaries are the same in every run. */
export async function readOutcome(world: World, outputPath: string, sizes: boolean): Promise<Outcome> {
  const normal = normaliser();
  const outcome: Outcome = { tree: [], packets: [], faults: [], traces: [] };
  for (const path of walk(outputPath)) {
    const name = normal(relative(outputPath, path));
    const { mode, size } = lstatSync(path);
    const folder = (mode & 0o170000) === 0o040000;
    const type = folder ? 'd' : (mode & 0o170000) === 0o100000 ? 'f' : '?';
    const shownSize = sizes && !folder && !name.endsWith('/metadata') ? ` ${size}` : '';
    outcome.tree.push(`${type} ${(mode & 0o7777).toString(8)}${shownSize} ${name}`);
    if (folder || name.endsWith('.idx')) continue;
    if (name.endsWith('/metadata')) outcome.traces.push(await readTrace(world, path, name));
    else {
      const { packets, faults } = readStream(path, name.includes('/32-bit/') ? 4 : 8);
      outcome.faults.push(...faults.map((fault) => `${name}: ${fault}`));
      if (sizes) {
        for (const p of packets)
          outcome.packets.push(
            `${name} #${p.packetSeqNum}: ${p.packetSizeBytes} bytes, ${p.eventsDiscarded} discarded`,
          );
      }
    }
  }
  return outcome;
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? [path, ...walk(path)] : [path];
    });
}

/**
 * The blocks of a metadata text in a fixed order, without what changes from run to run: stream ids follow the
 * order in which the session daemon finds its channels. With buffers of each process, the buffering id is the
 * process id; of each user, the user's.
 */
function normalMetadata(text: string): string {
  const changing = ['uuid', 'offset', 'vpid', '\\w*datetime'];
  if (text.includes('tracer_buffering_scheme = "pid"')) changing.push('tracer_buffering_id');
  return text
    .replace(new RegExp(`\\b(${changing.join('|')})\\s*=\\s*("[^"]*"|\\d+)`, 'g'), '$1 = *')
    .replace(/\bstream_id = \d+|(?<=^stream \{\n\s)id = \d+/gm, 'stream id = *')
    .split('\n\n')
    .sort()
    .join('\n\n');
}

async function readTrace(world: World, metadataPath: string, name: string): Promise<TraceOutcome> {
  const { status, stdout, stderr } = await world.run('babeltrace2', ['--no-delta', join(metadataPath, '..')]);
  return {
    path: name.slice(0, -'/metadata'.length),
    metadata: normalMetadata(metadataText(metadataPath)),
    readStatus: status,
    complaint: stderr,
    events: stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.slice(line.indexOf('millrace:'))),
  };
}
