/**
 * Settings from all their sources, later ones winning: /etc/lttng/lttng.conf, the user's lttng.conf, the file of
 * `--config`, the command line; the environment where all of them are silent.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { why } from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { applyOption, parseOptions, parseSwitch } from '../options.ts';
import { usageError } from '../usage.ts';
import { applyEnvironment } from './environment.ts';
import { parseIni } from './ini-file.ts';
import { relayOptionTable } from './option-table.ts';
import { defaultSettings, lttngHome, type RelaySettings } from './settings.ts';

export interface Configured {
  settings: RelaySettings;
  /** Sentences about what was left out; none of them stops the relay. */
  warnings: string[];
}

/**
 * Reads every source. `systemPath`: the file of the whole machine. Throws `MR_ERR_USAGE`. With `--help` and the
 * like only the command line is read.
 */
export function configure(context: Context, systemPath = '/etc/lttng/lttng.conf'): Configured {
  const warnings: string[] = [];
  const { given } = parseOptions(relayOptionTable, context.argv);
  const asked = defaultSettings(context);
  for (const one of given) applyOption(one, asked);
  if (asked.instead !== undefined) return { settings: asked, warnings };

  const settings = defaultSettings(context);
  const files = [systemPath, join(lttngHome(context), '.lttng', 'lttng.conf')];
  for (const path of files) applyFile(readIfThere(path, warnings), path, settings, warnings);
  if (asked.configPath !== undefined)
    applyFile(readNamed(asked.configPath), asked.configPath, settings, warnings);
  const fileVerbosity = settings.verbosity;
  for (const one of given) applyOption(one, settings);
  // Counted on the command line, not added to what a file says.
  settings.verbosity = asked.verbosity > 0 ? asked.verbosity : fileVerbosity;
  applyEnvironment(context.env, settings, (sentence) => warnings.push(sentence));
  return { settings, warnings };
}

function readIfThere(path: string, warnings: string[]): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') warnings.push(`${path}: left out: ${why(error)}`);
    return '';
  }
}

function readNamed(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError(`--config: ${why(error)}`, error);
  }
}

function applyFile(text: string, path: string, settings: RelaySettings, warnings: string[]): void {
  const { entries, badLines } = parseIni(text);
  for (const line of badLines) warnings.push(`${path}:${line}: neither [section] nor key = value, left out`);
  for (const { section, key, value, line } of entries) {
    if (section !== 'relayd') continue;
    const where = `${path}:${line}: `;
    const option = relayOptionTable.find(({ name }) => name === key);
    if (option === undefined) {
      warnings.push(`${where}unknown key "${key}", left out`);
    } else if (option.inFiles === false) {
    } else if (option.argument !== undefined) {
      applyOption({ option, value }, settings, where);
    } else {
      const on = parseSwitch(value);
      if (on === undefined) warnings.push(`${where}${key}: "${value}" is neither yes nor no, left out`);
      else if (option.setLevel !== undefined) option.setLevel(settings, Number(value) || Number(on));
      else option.set(settings, on);
    }
  }
}
