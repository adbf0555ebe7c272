import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { helpMarkdown, helpText } from '../../cli/help.ts';
import { serveOptionTable } from '../../cli/nbd/serve-options.ts';
import type { Option } from '../../cli/options.ts';
import { relayOptionTable } from '../../cli/relay/option-table.ts';
import { viewOptionTable } from '../../cli/view/option-table.ts';

const begin = '<!-- options: begin -->\n';
const end = '<!-- options: end -->';

/** Pages under docs/ that hold the options of a command, and the table they come from. */
const pages: Readonly<Record<string, readonly Option<never>[]>> = {
  'relay.md': relayOptionTable,
  'nbd.md': serveOptionTable,
  'view.md': viewOptionTable,
};

for (const [name, table] of Object.entries(pages)) {
  const page = fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url));

  test(`docs/${name} lists the options as the table has them (UPDATE_DOCS=1 writes it anew)`, (t) => {
    const text = readFileSync(page, 'utf8');
    const [before, after] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
    const options = `\n${helpMarkdown(table)}\n`;
    if (process.env.UPDATE_DOCS === '1')
      writeFileSync(page, text.slice(0, before) + options + text.slice(after));
    t.is(readFileSync(page, 'utf8').slice(before, before + options.length), options);
  });

  test(`${name}: the help text fits a terminal`, (t) => {
    for (const line of helpText(table).split('\n')) t.true(line.length <= 80, line);
  });

  test(`${name}: every option has a name of its own, long and short`, (t) => {
    for (const names of [table.map((o) => o.name), table.flatMap((o) => o.short ?? [])])
      t.is(new Set(names).size, names.length);
  });
}
