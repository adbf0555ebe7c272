/** `millrace nbd mirror`: asks a server to move its disk, and may wait until it has. */
import { resolve } from 'node:path';
import { askControl, loadNbd, type MirrorFigures, type MirrorHappening } from '../../lib/index.ts';
import { helpOption, jsonOption, section } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseBytes, parseOptions, parseWhole } from '../options.ts';
import { bytesText, showProgress } from '../progress.ts';
import { usageError } from '../usage.ts';
import { destinationOf, parseMirrorWords } from './migration.ts';

interface MirrorSettings {
  help: boolean;
  json: boolean;
  wait: boolean;
  /** ` export=NAME`, as the control socket takes it, or nothing. */
  which: string;
  /** As the control socket takes them. */
  words: string[];
}

/** An option that becomes a word of the command; `check` throws for a bad value. */
function word(
  name: string,
  argument: string,
  key: string,
  help: string,
  check: (value: string) => unknown = () => undefined,
): Option<MirrorSettings> {
  return {
    name,
    argument,
    section: 'Migration',
    help,
    set: (settings, value) => {
      check(value);
      settings.words.push(`${key}=${value}`);
    },
  };
}

const longestMs = 3_600_000;

const optionTable: readonly Option<MirrorSettings>[] = [
  {
    name: 'wait',
    short: 'w',
    section,
    help: 'Wait for the end, and show how far it is on a terminal. Status 0 only if the disk has arrived.',
    set: (settings, on) => {
      settings.wait = on;
      settings.words.push('wait=yes');
    },
  },
  jsonOption('Print every event as one JSON object a line; with --wait also one of progress each second.'),
  {
    name: 'export',
    short: 'x',
    argument: 'NAME',
    section: 'Migration',
    help: 'Which disk, of a server with several exports; the others are served on. Default: the only one.',
    set: (settings, value) => {
      settings.which = ` export=${encodeURIComponent(value)}`;
    },
  },
  {
    name: 'unlink',
    short: 'u',
    section: 'Migration',
    help: 'Remove the image once everything is sent, before the other side takes over: then there is never a doubt which copy counts.',
    set: (settings) => void settings.words.push('action=unlink'),
  },
  {
    name: 'copy',
    section: 'Migration',
    help: 'Send everything and go on serving; the other side is not told that it has the disk.',
    set: (settings) => void settings.words.push('action=nothing'),
  },
  {
    name: 'stay',
    section: 'Migration',
    help: 'Once the disk has gone, go on answering on the control socket where it is, until a signal.',
    set: (settings) => void settings.words.push('stay=yes'),
  },
  word(
    'limit',
    'BYTES',
    'limit',
    'The most bytes a second of the first copy; what clients change is not counted.',
    parseBytes,
  ),
  word(
    'pause',
    'MS',
    'pause',
    'Shut the clients out only when the rest will take less. Default: 50.',
    (value) => parseWhole(value, 1, longestMs, 'ms'),
  ),
  word(
    'most-pause',
    'MS',
    'most-pause',
    'What that may grow to while clients write faster than the link carries; beyond it their writes are held back. Default: 5000.',
    (value) => parseWhole(value, 1, longestMs, 'ms'),
  ),
  word('bind', 'ADDRESS', 'bind', 'The address of the server to connect from.'),
  word('connections', 'N', 'connections', 'To a millrace listener: connections beside each other.', (value) =>
    parseWhole(value, 1, 16, 'connections'),
  ),
  word(
    'retry',
    'MS',
    'retry',
    'How long to wait after a failed attempt before the next. Default: 1000.',
    (value) => parseWhole(value, 1, longestMs, 'ms'),
  ),
  {
    name: 'no-verify',
    section: 'Migration',
    help: 'To a millrace listener: do not compare by hash before the hand-over.',
    set: (settings) => void settings.words.push('verify=no'),
  },
  helpOption(),
];

/** See the file's head. */
export const mirror: Command = {
  name: 'mirror',
  summary: 'move the disk of a running server to a listening one',
  help: () =>
    `usage: millrace nbd mirror [OPTION]... SOCKET nbd[s]://HOST:PORT\n\nSOCKET is the control socket of millrace nbd serve, which keeps serving meanwhile; at the address millrace nbd listen or\nflexnbd listen waits; nbds:// is for a millrace listener with TLS, and takes tls-certificates=DIR or tls-psk-file=FILE\nbehind ?, paths of the server that is to move its disk. millrace ctl SOCKET break ends it early.\n\n${helpText(optionTable)}`,
  run,
};

/** What the control socket answers. */
interface Followed {
  events: MirrorHappening[];
  migration?: MirrorFigures;
}

async function run(context: Context): Promise<number> {
  const settings: MirrorSettings = { help: false, json: false, wait: false, which: '', words: [] };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(mirror.help());
    return 0;
  }
  const [socket, to, ...more] = operands;
  if (socket === undefined || to === undefined || more.length > 0)
    throw usageError('SOCKET and an address are needed');
  destinationOf(to);
  parseMirrorWords(settings.words);
  const path = resolve(context.cwd, socket);
  const { which } = settings;
  const answer = await askControl(path, `mirror ${[to, ...settings.words].join(' ')}${which}`);
  const { seq } = answer as { seq: number };
  if (settings.wait) return await follow(context, settings, path, seq);
  context.stdout.write(settings.json ? `${JSON.stringify(answer)}\n` : 'the migration has started\n');
  return 0;
}

/** Fetches events until the last one of this migration. */
async function follow(
  context: Context,
  { json, which }: MirrorSettings,
  path: string,
  from: number,
): Promise<number> {
  const { isEnd } = await loadNbd();
  const print = (value: object): void => void context.stdout.write(`${JSON.stringify(value)}\n`);
  let now: MirrorFigures | undefined;
  const progress = showProgress(context, () => ({
    bytes: (now?.sizeBytes ?? 0) - (now?.leftBytes ?? 0),
    totalBytes: now?.sizeBytes ?? 0,
    text:
      now === undefined ? 'connecting' : `${now.state}, pass ${now.pass}, ${bytesText(now.leftBytes)} left`,
  }));
  try {
    for (let seq = from; ; ) {
      const { events, migration } = (await askControl(path, `mirror-events ${seq}${which}`)) as Followed;
      now = migration ?? now;
      for (const { seq: number, atMs, event, facts } of events) {
        seq = number;
        if (json) print({ event, atMs, ...facts });
        if (!isEnd(event)) continue;
        progress.end();
        if (!json) context.stderr.write(`${endText(event, facts)}\n`);
        return event === 'done' || event === 'returned' ? 0 : 1;
      }
      if (json && events.length === 0 && migration !== undefined)
        print({ event: 'progress', atMs: Date.now(), ...migration });
    }
  } finally {
    progress.end();
  }
}

function endText(
  event: MirrorHappening['event'],
  { destination, servedAt, pauseMs, why }: MirrorHappening['facts'],
): string {
  const pause = typeof pauseMs === 'number' ? `; clients were shut out for ${Math.round(pauseMs)} ms` : '';
  if (event === 'done') return `the disk has gone to ${servedAt ?? destination}${pause}`;
  if (event === 'returned') return `everything was sent, and the server goes on${pause}`;
  return `the migration was ${event}${why === undefined ? '' : `: ${why}`}`;
}
