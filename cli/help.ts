/** Help texts from option tables: for a terminal, and as Markdown for docs/. */
import type { Option } from './options.ts';

const widthChars = 80;
const indentChars = 10;

/** Options as they are listed in the help text: `-o DIR, --output=DIR`. */
export function spell<S>(option: Option<S>): string {
  const { argument } = option;
  const long = argument === undefined ? `--${option.name}` : `--${option.name}=${argument}`;
  if (option.short === undefined) return long;
  return `-${option.short}${argument === undefined ? '' : ` ${argument}`}, ${long}`;
}

/** The part of a help page that lists the options, by section in the order of the table. */
export function helpText<S>(options: readonly Option<S>[]): string {
  return [...sections(options)]
    .map(([title, rows]) => `${title}:\n${rows.map(helpEntry).join('')}`)
    .join('\n');
}

function helpEntry<S>(option: Option<S>): string {
  const pad = ' '.repeat(indentChars);
  return `  ${spell(option)}\n${wrap(sentence(option), widthChars - indentChars)
    .map((line) => `${pad}${line}\n`)
    .join('')}`;
}

/** The same as Markdown lists, one a section. */
export function helpMarkdown<S>(options: readonly Option<S>[]): string {
  return [...sections(options)]
    .map(([title, rows]) => {
      const lines = rows.map((option) => `- \`${spell(option)}\`: ${sentence(option)}\n`);
      return `### ${title}\n\n${lines.join('')}`;
    })
    .join('\n');
}

function sentence<S>(option: Option<S>): string {
  return option.default === undefined ? option.help : `${option.help} Default: ${option.default}.`;
}

function sections<S>(options: readonly Option<S>[]): Map<string, Option<S>[]> {
  const found = new Map<string, Option<S>[]>();
  for (const option of options) {
    const rows = found.get(option.section) ?? [];
    rows.push(option);
    found.set(option.section, rows);
  }
  return found;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
