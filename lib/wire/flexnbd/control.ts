/**
 * flexnbd's control socket: a command is its name and one argument a line, ended by an empty line or the end of the
 * input; the answer is `CODE: TEXT` and a line feed. One command a connection. Source: nbd-migration, C.3 and C.4.
 */

/** Bytes of a line, without its line feed, and of an answer's. */
export const controlLineBytes = 256;
export const answerLineBytes = 1024;

/** What stands on the lines of one command. */
export interface ControlCommand {
  name: string;
  args: string[];
}

/** Code 0: done; the program's exit status otherwise. */
export interface ControlAnswer {
  code: number;
  text: string;
}

/**
 * Collects the lines of a command. `take` returns true once it is complete: at an empty line; whoever feeds it ends it
 * at the end of input. An absent argument is an empty line too, which is why everything behind one is lost: so it is in
 * flexnbd.
 */
export class CommandLines {
  readonly #lines: string[] = [];

  take(line: string): boolean {
    if (line === '') return true;
    this.#lines.push(line);
    return false;
  }

  get count(): number {
    return this.#lines.length;
  }

  /** undefined: not even a name came. */
  get command(): ControlCommand | undefined {
    const [name, ...args] = this.#lines;
    return name === undefined ? undefined : { name, args };
  }
}

/** The bytes of a command as flexnbd's own client sends it: an absent argument as an empty line. */
export function encodeCommand(name: string, args: ReadonlyArray<string | undefined>): string {
  return `${[name, ...args.map((arg) => arg ?? '')].join('\n')}\n\n`;
}

export function encodeAnswer({ code, text }: ControlAnswer): string {
  return `${code}: ${text}\n`;
}

/** undefined: no answer of flexnbd's. */
export function parseAnswer(line: string): ControlAnswer | undefined {
  const [, code, text] = /^(\d{1,3}): (.*)$/s.exec(line) ?? [];
  return code === undefined || text === undefined ? undefined : { code: Number(code), text };
}

/** What `status` answers. Sizes in bytes, speeds in bytes a second, the last five only while a mirror exists. */
export interface FlexnbdStatus {
  pid: number;
  size: number;
  is_mirroring: boolean;
  clients_allowed: boolean;
  num_clients: number;
  has_control: boolean;
  migration_speed?: number;
  /** Seconds. */
  migration_duration?: number;
  migration_seconds_left?: number;
  migration_bytes_left?: number;
  /** Absent: no limit. */
  migration_speed_limit?: number;
}

const statusKeys = [
  'pid',
  'size',
  'is_mirroring',
  'clients_allowed',
  'num_clients',
  'has_control',
  'migration_speed',
  'migration_duration',
  'migration_seconds_left',
  'migration_bytes_left',
  'migration_speed_limit',
] as const satisfies ReadonlyArray<keyof FlexnbdStatus>;

/** `key=value ` for every key there is, in flexnbd's order, each with a blank behind it. */
export function statusLine(status: FlexnbdStatus): string {
  return statusKeys
    .filter((key) => status[key] !== undefined)
    .map((key) => `${key}=${status[key]} `)
    .join('');
}
