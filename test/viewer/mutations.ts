/** Traces of the corpus, changed at random: whatever they say now, reading them ends well or with an error of ours. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError, why } from '../../lib/errors.ts';
import { mutate } from '../helpers/mutate.ts';
import { tracesBelow } from '../helpers/traces.ts';
import { viewText } from '../helpers/view.ts';

/** Files whose bytes are changed: small ones, so that many runs are quick. */
const mostBytes = 200_000;

/** Views a trace; `error`: what was wrong with it. */
export type Viewed = (inputs: readonly string[]) => Promise<{ error: unknown }>;

/** Copies a trace and changes one of its files. */
export function mutateTrace(trace: string, scratch: string, seed: number, most = mostBytes): string {
  const directory = join(scratch, 'trace');
  rmSync(directory, { recursive: true, force: true });
  cpSync(trace, directory, { recursive: true });
  const files = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
  // The metadata more often than each of many streams.
  const name = seed % 3 === 0 ? 'metadata' : (files[seed % files.length] as string);
  const path = join(directory, name);
  const bytes = readFileSync(path);
  if (bytes.length <= most) writeFileSync(path, mutate(bytes, seed));
  return directory;
}

/** Views one mutation. Resolves to how it ended; rejects where it ended in a way that it must not. */
export async function viewMutation(
  trace: string,
  scratch: string,
  seed: number,
  viewed: Viewed = viewText,
): Promise<'read' | 'refused'> {
  const { error } = await viewed([mutateTrace(trace, scratch, seed)]);
  if (error === undefined) return 'read';
  if (error instanceof MillraceError) return 'refused';
  throw new Error(`${trace}, seed ${seed}: ${why(error)}`, { cause: error });
}

/** Runs `count` mutations over all traces below `roots`. */
export async function viewMutations(
  roots: readonly string[],
  scratch: string,
  count: number,
  firstSeed: number,
  viewed: Viewed = viewText,
): Promise<{ read: number; refused: number }> {
  mkdirSync(scratch, { recursive: true });
  const traces = roots.flatMap(tracesBelow);
  const counts = { read: 0, refused: 0 };
  for (let i = 0; i < count; i++) {
    const seed = firstSeed + i;
    counts[await viewMutation(traces[seed % traces.length] as string, scratch, seed, viewed)] += 1;
  }
  return counts;
}
