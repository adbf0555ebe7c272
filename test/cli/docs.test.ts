import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { helpMarkdown, helpText } from '../../cli/help.ts';
import { relayOptionTable } from '../../cli/relay/option-table.ts';

const page = fileURLToPath(new URL('../../../docs/relay.md', import.meta.url));
const begin = '<!-- options: begin -->\n';
const end = '<!-- options: end -->';

test('docs/relay.md lists the options as the table has them (UPDATE_DOCS=1 writes it anew)', (t) => {
  const text = readFileSync(page, 'utf8');
  const [before, after] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  const options = `\n${helpMarkdown(relayOptionTable)}\n`;
  if (process.env.UPDATE_DOCS === '1')
    writeFileSync(page, text.slice(0, before) + options + text.slice(after));
  t.is(readFileSync(page, 'utf8').slice(before, before + options.length), options);
});

test('the help text fits a terminal', (t) => {
  for (const line of helpText(relayOptionTable).split('\n')) t.true(line.length <= 80, line);
});

test('every option has a name of its own, long and short', (t) => {
  for (const names of [relayOptionTable.map((o) => o.name), relayOptionTable.flatMap((o) => o.short ?? [])])
    t.is(new Set(names).size, names.length);
});
