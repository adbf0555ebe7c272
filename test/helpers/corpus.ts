/** Traces with what babeltrace2 prints for them: those in fixtures/corpus, and a larger corpus where it is at hand. */
import { readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { corpus, fixture } from './traces.ts';

interface IndexCase {
  id: string;
  options: string[];
  env?: Record<string, string>;
  inputs?: string[];
  exit: number;
  stdout: string;
  warnings?: string;
  warningsAreATwins?: boolean;
}

interface Index {
  env: Record<string, string>;
  traces: { name: string; inputs?: string[]; cases: IndexCase[] }[];
}

export interface CorpusCase {
  title: string;
  options: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Absolute. */
  inputs: readonly string[];
  fails: boolean;
  stdout: Buffer;
  /** Lines on stderr that count; undefined: any. */
  warnings: string | undefined;
  /** A word of stderr with the corpus' own path in it, as `warnings` has it. */
  normalized(line: string): string;
}

/** The cases of fixtures/corpus, and those of the larger corpus that are not there. */
export function corpusCases(): CorpusCase[] {
  const own = casesOf(fixture('corpus'));
  const known = new Set(own.map(({ title }) => title));
  const others = corpus === undefined ? [] : casesOf(corpus);
  return [...own, ...others.filter(({ title }) => !known.has(title))];
}

function casesOf(root: string): CorpusCase[] {
  const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')) as Index;
  return index.traces.flatMap((trace) =>
    trace.cases.map((each): CorpusCase => {
      const directory = join(root, trace.name);
      const inputs = (each.inputs ?? trace.inputs ?? ['trace']).map((input) =>
        normalize(join(directory, input)),
      );
      return {
        title: `${trace.name} ${each.id}`,
        options: each.options,
        env: { ...index.env, ...each.env },
        inputs,
        fails: each.exit !== 0,
        stdout: read(join(directory, each.stdout)),
        warnings: each.warningsAreATwins
          ? undefined
          : each.warnings === undefined
            ? ''
            : read(join(directory, each.warnings)).toString('latin1'),
        normalized: (line) => line.replaceAll(`${directory}/`, '@DIR@/'),
      };
    }),
  );
}

function read(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}
