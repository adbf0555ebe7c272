import { type ListedSession, loadLive, parseLiveUri, textTable } from '../../lib/index.ts';
import { helpOption, jsonOption, section } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';

interface ListSettings {
  help: boolean;
  json: boolean;
  timeoutS: number;
}

const optionTable: readonly Option<ListSettings>[] = [
  jsonOption('Print the sessions as one JSON array of objects.'),
  {
    name: 'timeout',
    argument: 'SECONDS',
    section,
    help: 'Longest wait for the relay. Default 30.',
    set: (settings, value) => {
      settings.timeoutS = Number(value);
      if (!(settings.timeoutS > 0)) throw usageError(`--timeout: "${value}" is no number of seconds`);
    },
  },
  helpOption(),
];

/** The live sessions of a relay. */
export const list: Command = {
  name: 'list',
  summary: 'list the sessions on the live port of a relay',
  help: () =>
    `usage: millrace list [OPTION]... live://HOST[:PORT]\n\nThe relay may be millrace or any lttng-relayd; net://HOST, as babeltrace2 writes it, is the same.\n\n${helpText(optionTable)}\nExit status: 0 done, 1 failed, 2 wrong usage.\n`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: ListSettings = { help: false, json: false, timeoutS: 30 };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(list.help());
    return 0;
  }
  const [operand, ...more] = operands;
  if (operand === undefined || more.length > 0) throw usageError('one live://HOST is needed');
  const { host, port, family, target } = parseLiveUri(operand);
  const { listLiveSessions } = await loadLive();
  const address = { host, port, ...(family && { family }) };
  const sessions = await listLiveSessions({ address, replyMs: settings.timeoutS * 1000 });
  const wanted = sessions.filter(
    ({ hostname, sessionName }) =>
      target === undefined || (target.hostname === hostname && target.sessionName === sessionName),
  );
  const relay = operand.replace(/\/host\/.*$/, '').replace(/\/$/, '');
  context.stdout.write(settings.json ? asJson(wanted, relay) : asTable(wanted, relay));
  return 0;
}

const urlOf = ({ hostname, sessionName }: ListedSession, relay: string) =>
  `${relay}/host/${hostname}/${sessionName}`;

function asJson(sessions: readonly ListedSession[], relay: string): string {
  return `${JSON.stringify(sessions.map((session) => ({ ...session, url: urlOf(session, relay) })))}\n`;
}

function asTable(sessions: readonly ListedSession[], relay: string): string {
  if (sessions.length === 0) return '';
  const rows = sessions.map((session) => [
    session.hostname,
    session.sessionName,
    session.liveTimerUs === 0 ? 'not live' : `${session.liveTimerUs} us`,
    `${session.streams}`,
    `${session.clients}`,
    urlOf(session, relay),
  ]);
  const lines = textTable([['HOST', 'SESSION', 'TIMER', 'STREAMS', 'VIEWERS', 'URL'], ...rows], numeric);
  return lines.map((line) => `${line}\n`).join('');
}

const numeric = new Set([2, 3, 4]);
