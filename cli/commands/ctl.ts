import { askControl } from '../../lib/index.ts';
import { helpOption, jsonOption } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';

interface CtlSettings {
  help: boolean;
  json: boolean;
}

const optionTable: readonly Option<CtlSettings>[] = [
  jsonOption('Print the answer as one line of JSON, words included.'),
  helpOption(),
];

/** Sends one command to a control socket. */
export const ctl: Command = {
  name: 'ctl',
  summary: 'steer what runs, by its control socket',
  help: () =>
    `usage: millrace ctl [OPTION]... PATH COMMAND [WORD]...\n\nPATH is a control socket; its command help lists what can be asked of it.\n\n${helpText(optionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: CtlSettings = { help: false, json: false };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(ctl.help());
    return 0;
  }
  const [path, ...words] = operands;
  if (path === undefined || words.length === 0) throw usageError('PATH and COMMAND are needed');
  const broken = words.find((word) => /\s|^$/.test(word));
  if (broken !== undefined) throw usageError(`"${broken}" is not one word`);
  const answer = await askControl(path, words.join(' '));
  context.stdout.write(`${settings.json ? JSON.stringify(answer) : readable(answer)}\n`);
  return 0;
}

function readable(answer: unknown): string {
  return typeof answer === 'string' ? answer : JSON.stringify(answer, undefined, 2);
}
