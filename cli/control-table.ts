/** Commands of a control socket, as a table: what each is for, and what it answers. */
import { type ControlCommands, type Log, levels } from '../lib/index.ts';
import { parseWord } from './options.ts';

export interface Served {
  help: string;
  answer: (args: readonly string[]) => unknown;
}

/** The table as the socket serves it, with `help` among the commands. */
export function controlTable(rows: Readonly<Record<string, Served>>): ControlCommands {
  const served: Readonly<Record<string, Served>> = {
    ...rows,
    help: {
      help: 'this list',
      answer: () => Object.fromEntries(Object.entries(served).map(([name, { help }]) => [name, help])),
    },
  };
  return Object.fromEntries(
    Object.entries(served).map(([name, { answer }]) => [name, (args: string[]) => answer(args)]),
  );
}

/** `stop`: ends the program orderly, once the answer is out. */
export function stopCommand(stop: () => void): Served {
  return {
    help: 'end orderly, as SIGTERM does',
    answer: () => {
      setImmediate(stop);
      return 'stopping';
    },
  };
}

/** `log-level`. */
export function logLevelCommand(log: Log): Served {
  return {
    help: `show the level of the log, or set it to one of ${levels.join(', ')}`,
    answer: ([level]) => {
      if (level !== undefined) log.level = parseWord(level, levels);
      return log.level;
    },
  };
}
