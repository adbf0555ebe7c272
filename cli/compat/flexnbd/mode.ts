/** What a mode of flexnbd is, and what its command line has in common with the others. */
import type { Context } from '../../context.ts';
import { helpText } from '../../help.ts';
import { type Option, parseOptions } from '../../options.ts';
import { usageError } from '../../usage.ts';
import { type FlexnbdSettings, noSettings, options } from './options.ts';

/** One mode; `run` resolves to the exit status, and rejects with what is told on stderr. */
export interface Mode {
  name: string;
  summary: string;
  /** Words behind the options in the usage line. */
  operands?: string;
  options: readonly Option<FlexnbdSettings>[];
  required: ReadonlyArray<keyof FlexnbdSettings>;
  /** Rewrites what getopt takes and our parser does not. */
  prepare?: (argv: readonly string[]) => readonly string[];
  run(context: Context, settings: FlexnbdSettings, operands: readonly string[]): Promise<number>;
}

const common = [options.verbose, options.quiet, options.help];

/** The page of `help MODE` and of `MODE --help`. */
export function modeHelp({ name, summary, operands, options: own }: Mode): string {
  const more = operands === undefined ? '' : ` ${operands}`;
  return `usage: millrace flexnbd ${name} [OPTION]...${more}\n\n${summary}\n\n${helpText([...own, ...common])}`;
}

/** Reads a command line of `mode`. Throws `MR_ERR_USAGE`; nothing is required where help is asked for. */
export function parseMode(
  mode: Mode,
  argv: readonly string[],
): { settings: FlexnbdSettings; operands: readonly string[] } {
  const settings = noSettings();
  const { given, operands } = parseOptions([...mode.options, ...common], mode.prepare?.(argv) ?? argv);
  for (const { option, value } of given)
    if (option.argument === undefined) option.set(settings, true);
    else option.set(settings, value ?? '');
  if (settings.help) return { settings, operands };
  const missing = mode.required.find((name) => settings[name] === undefined);
  if (missing !== undefined) throw usageError(`--${missing} is required`);
  const extra = operands[0];
  if (mode.operands === undefined && extra !== undefined) throw usageError(`unexpected argument ${extra}`);
  return { settings, operands };
}
