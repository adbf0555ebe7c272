/**
 * Configuration files of LTTng. Sections in brackets, `key = value` or `key : value`, comments behind `#` or
 * `;` at the start of a line, and behind a blank and `;` within one. Source: relay-behaviour, "Configuration".
 */

export interface IniEntry {
  section: string;
  key: string;
  value: string;
  /** Counted from 1. */
  line: number;
}

/** Reads a whole file; lines that are neither blank, comment, section nor entry are reported by number. */
export function parseIni(text: string): { entries: IniEntry[]; badLines: number[] } {
  const entries: IniEntry[] = [];
  const badLines: number[] = [];
  let section = '';
  for (const [at, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const content = raw.trim();
    if (content === '' || content.startsWith('#') || content.startsWith(';')) continue;
    const line = content.replace(/\s;.*$/, '').trimEnd();
    const heading = /^\[([^\]]*)\]$/.exec(line)?.[1];
    const entry = /^([^=:]+?)\s*[=:]\s*(.*)$/.exec(line);
    if (heading !== undefined) section = heading.trim();
    else if (entry?.[1] === undefined) badLines.push(at + 1);
    else entries.push({ section, key: entry[1], value: entry[2] ?? '', line: at + 1 });
  }
  return { entries, badLines };
}
