import { loadNbd } from '../../lib/index.ts';
import { helpOption, jsonOption } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseOptions } from '../options.ts';
import { bytesText } from '../progress.ts';
import { parseDisk } from './disk-options.ts';

interface InfoSettings {
  help: boolean;
  json: boolean;
}

const optionTable: readonly Option<InfoSettings>[] = [
  jsonOption('Print it as one JSON object.'),
  helpOption(),
];

/** Says what an export is. */
export const info: Command = {
  name: 'info',
  summary: 'say what a server offers: exports, size, abilities',
  help: () => `usage: millrace nbd info [OPTION]... URI\n\n${helpText(optionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: InfoSettings = { help: false, json: false };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(info.help());
    return 0;
  }
  const uri = parseDisk(operands[0]);
  const { clientOptionsOf, describeExport, NbdClient } = await loadNbd();
  const options = clientOptionsOf(uri);
  // a server may keep its list to itself
  const exports = await NbdClient.list(options).catch(() => undefined);
  const client = await NbdClient.connect(options);
  const found = { ...describeExport(client), exports };
  await client.disconnect();
  if (settings.json) context.stdout.write(`${JSON.stringify(found)}\n`);
  else {
    const { abilities, protocol, sizeBytes } = found;
    const names = exports?.map(({ name }) => JSON.stringify(name)).join(' ') ?? 'not told';
    context.stdout.write(
      `size       ${sizeBytes} (${bytesText(sizeBytes)})\nprotocol   ${protocol}\nabilities  ${abilities.join(' ')}\nexports    ${names}\n`,
    );
  }
  return 0;
}
