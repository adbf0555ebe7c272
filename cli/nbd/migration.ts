/** What a server's control socket answers about migrations. */
import { loadNbd, type Mirror, type MirrorOptions, type NbdUri, parseUri } from '../../lib/index.ts';
import type { Served } from '../control-table.ts';
import { parseBytes, parseWhole, parseWord } from '../options.ts';
import { usageError } from '../usage.ts';

/** Words of `mirror` behind the address: `KEY=VALUE`. */
export interface MirrorWords {
  action: 'exit' | 'unlink' | 'nothing';
  /** Go on answering on the control socket after the hand-over. */
  stay: boolean;
  /** Whoever asks will ask for events. */
  wait: boolean;
  options: Partial<MirrorOptions>;
}

const actions = ['exit', 'unlink', 'nothing'] as const;
const yesNo = ['yes', 'no'] as const;
const longestMs = 3_600_000;

const keys: Readonly<Record<string, (words: MirrorWords, value: string) => void>> = {
  action: (words, value) => {
    words.action = parseWord(value, actions);
  },
  stay: (words, value) => {
    words.stay = parseWord(value, yesNo) === 'yes';
  },
  wait: (words, value) => {
    words.wait = parseWord(value, yesNo) === 'yes';
  },
  bind: ({ options }, value) => {
    options.bindHost = value;
  },
  limit: ({ options }, value) => {
    options.maxBytesPerSecond = parseBytes(value);
  },
  pause: ({ options }, value) => {
    options.pause = { ...options.pause, pauseMs: parseWhole(value, 1, longestMs, 'ms') };
  },
  'most-pause': ({ options }, value) => {
    options.pause = { ...options.pause, mostPauseMs: parseWhole(value, 1, longestMs, 'ms') };
  },
  connections: ({ options }, value) => {
    options.connections = parseWhole(value, 1, 16, 'connections');
  },
  retry: ({ options }, value) => {
    options.retryMs = parseWhole(value, 1, longestMs, 'ms');
  },
  verify: ({ options }, value) => {
    options.verify = parseWord(value, yesNo) === 'yes';
  },
};

/** Throws `MR_ERR_USAGE`. */
export function parseMirrorWords(words: readonly string[]): MirrorWords {
  const parsed: MirrorWords = { action: 'exit', stay: false, wait: false, options: {} };
  for (const word of words) {
    const [key = '', ...rest] = word.split('=');
    const set = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (set === undefined || rest.length === 0)
      throw usageError(`"${word}" is none of ${Object.keys(keys).join('=…, ')}=…`);
    set(parsed, rest.join('='));
  }
  return parsed;
}

/** Where a disk may be mirrored to: whoever listens there takes one disk, so that no export is named. */
export function destinationOf(text: string): NbdUri {
  const uri = parseUri(text);
  if (uri.kind !== 'nbd' || uri.exportName !== '')
    throw usageError(`${text} is no address of a listening disk, such as nbd://HOST:PORT`);
  return uri;
}

/** How to get there. Rejects as `clientOptionsOf`. */
async function wayTo(text: string): Promise<Pick<MirrorOptions, 'address' | 'upgrade'>> {
  const { clientOptionsOf } = await loadNbd();
  const { address, upgrade } = clientOptionsOf(destinationOf(text));
  return { address, ...(upgrade === undefined ? {} : { upgrade }) };
}

/** Takes `export=NAME` out of `words`; the name is percent-encoded. */
function splitExport(words: readonly string[]): { name: string | undefined; rest: string[] } {
  const given = words.find((word) => word.startsWith('export='));
  const rest = words.filter((word) => word !== given);
  if (given === undefined) return { name: undefined, rest };
  try {
    return { name: decodeURIComponent(given.slice('export='.length)), rest };
  } catch {
    throw usageError(`"${given}" has a % that begins no encoded character`);
  }
}

/**
 * The commands. `mirrors`: by the name of the export; with more than one each command takes `export=NAME`. `stay` is told
 * whether the program is to stay once the last disk has gone.
 */
export function mirrorCommands(
  mirrors: ReadonlyMap<string, Mirror>,
  stay: (yes: boolean) => void,
): Readonly<Record<string, Served>> {
  if (mirrors.size === 0) return {};
  const [first] = mirrors.values();
  const which = mirrors.size > 1 ? ' export=NAME' : '';
  const one = (name: string | undefined): Mirror => {
    const found = name === undefined && mirrors.size === 1 ? first : mirrors.get(name ?? '');
    if (found !== undefined) return found;
    const names = [...mirrors.keys()].map((each) => `"${each}"`).join(', ');
    throw usageError(`export=NAME is needed, of ${names}`);
  };
  /** A command about one of them. */
  const of =
    (answer: (mirror: Mirror, words: string[]) => unknown): Served['answer'] =>
    (words) => {
      const { name, rest } = splitExport(words);
      return answer(one(name), rest);
    };
  const state = (mirror: Mirror) => ({
    state: mirror.state,
    clientsAllowed: mirror.admits,
    migration: mirror.figures(),
    handedOver: mirror.handedOver,
  });
  return {
    mirror: {
      help: `migrate the disk to nbd[s]://HOST:PORT${which} [action=exit|unlink|nothing] [limit=BYTES] [pause=MS] [most-pause=MS] [bind=ADDRESS] [connections=N] [retry=MS] [verify=no] [stay=yes]`,
      answer: of(async (mirror, [to, ...words]) => {
        if (to === undefined) throw usageError('an address is needed');
        const { action, options, stay: stays, wait } = parseMirrorWords(words);
        const way = await wayTo(to);
        const { happenings } = mirror;
        const { last } = happenings;
        if (wait) happenings.expect();
        await mirror.start({ ...way, action, ...options });
        stay(stays);
        return { started: true, seq: last };
      }),
    },
    'mirror-status': {
      help: `how the migration stands, and where the disk has gone${which === '' ? '' : '; of all without export=NAME'}`,
      answer(words) {
        const { name } = splitExport(words);
        if (name === undefined && mirrors.size > 1)
          return Object.fromEntries([...mirrors].map(([each, mirror]) => [each, state(mirror)]));
        return state(one(name));
      },
    },
    'mirror-events': {
      help: `what happened behind event number N${which}, as soon as there is something`,
      answer: of(async (mirror, [seq = '0']) => {
        const from = parseWhole(seq, 0, Number.MAX_SAFE_INTEGER, '');
        const events = await mirror.happenings.wait(from, 1000);
        return { events, ...state(mirror) };
      }),
    },
    'mirror-limit': {
      help: `the most bytes a second of the first copy, or none${which}`,
      answer: of((mirror, [text = 'none']) => ({
        changed: mirror.limit(text === 'none' ? undefined : parseBytes(text)),
      })),
    },
    break: { help: `break the migration off${which}`, answer: of((mirror) => mirror.break()) },
  };
}
