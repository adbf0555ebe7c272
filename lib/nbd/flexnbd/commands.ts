/**
 * The commands of flexnbd's control socket, their arguments and answers to the letter. Source: nbd-migration, C.3; F.3,
 * F.8.
 */
import { MillraceError, why } from '../../errors.ts';
import {
  type ControlAnswer,
  type ControlCommand,
  type FlexnbdStatus,
  parseAddress,
  parsePort,
  statusLine,
} from '../../wire/flexnbd/index.ts';

/** What a `mirror` command asks for. */
export interface MirrorRequest {
  host: string;
  port: number;
  /** What follows the last byte: end; end without the file; go on serving here, the other side learns nothing. */
  action: 'exit' | 'unlink' | 'nothing';
  bindHost?: string;
  maxBytesPerSecond?: number;
}

/** What a server offers to its control socket. */
export interface Controlled {
  status(): FlexnbdStatus;
  /** Replaces the access list. Throws an error that names the bad entry, and leaves the list as it was. */
  setAcl(entries: readonly string[]): void;
  /** Starts a migration; resolves once its first attempt is decided. Rejects, with flexnbd's words, if it failed. */
  mirror(request: MirrorRequest): Promise<void>;
  /** Breaks the migration off and resolves when it has ended. */
  breakMirror(): Promise<'stopped' | 'completed' | 'not mirroring'>;
  /** False: there is none. `bytesPerSecond` 0 lifts the limit. */
  limitMirror(bytesPerSecond: number): boolean;
}

type Handler = (controlled: Controlled, args: readonly string[]) => Promise<string> | string;

/** Words that go into an answer of code 1. */
class Refusal extends Error {}

const longestSpeed = 2 ** 63;

const handlers: Readonly<Record<string, Handler>> = {
  status: (controlled) => statusLine(controlled.status()),
  acl(controlled, entries) {
    controlled.setAcl(entries);
    return 'updated';
  },
  async break(controlled) {
    const how = await controlled.breakMirror();
    if (how !== 'stopped') throw new Refusal(how === 'completed' ? 'mirror completed' : how);
    return 'mirror stopped';
  },
  async mirror(controlled, args) {
    await controlled.mirror(mirrorRequest(args));
    return 'Mirror started';
  },
  mirror_max_bps(controlled, [text = '']) {
    if (!/^\d+$/.test(text)) throw new Refusal('Bad format');
    const bytesPerSecond = Number(text);
    if (bytesPerSecond >= longestSpeed) throw new Refusal('max_bps out of range');
    if (!controlled.limitMirror(bytesPerSecond)) throw new Refusal('Not currently mirroring');
    return 'updated';
  },
};

/** Carries out one command; whatever goes wrong is in the answer. */
export async function runCommand(
  controlled: Controlled,
  command: ControlCommand | undefined,
): Promise<ControlAnswer> {
  if (command === undefined) return { code: 9, text: 'missing command' };
  const handler = Object.hasOwn(handlers, command.name) ? handlers[command.name] : undefined;
  if (handler === undefined) return { code: 10, text: 'unknown command' };
  try {
    return { code: 0, text: await handler(controlled, command.args) };
  } catch (error) {
    return { code: 1, text: oneLine(error instanceof MillraceError ? error.message : why(error)) };
  }
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ');
}

/** An empty argument is an absent one. */
function mirrorRequest(args: readonly string[]): MirrorRequest {
  const [addressText, portText, actionText = '', bindText = '', speedText = '', ...more] = args;
  if (addressText === undefined || portText === undefined)
    throw new Refusal('mirror takes at least two parameters');
  const host = parseAddress(addressText);
  if (host === undefined) throw new Refusal('bad IP address');
  const port = parsePort(portText);
  if (port === undefined) throw new Refusal('bad IP port number');
  const action = actionText === '' ? 'exit' : actionText;
  if (action !== 'exit' && action !== 'unlink' && action !== 'nothing')
    throw new Refusal("action must be 'exit' or 'nothing'");
  const bindHost = bindText === '' ? undefined : parseAddress(bindText);
  if (bindText !== '' && bindHost === undefined) throw new Refusal('bad bind address');
  const maxBytesPerSecond = speedOf(speedText);
  if (more.length > 0) throw new Refusal('unrecognised parameters to mirror');
  return {
    host,
    port,
    action,
    ...(bindHost === undefined ? {} : { bindHost }),
    ...(maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond }),
  };
}

function speedOf(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^\d+$/.test(text)) throw new Refusal("max_bps couldn't be parsed");
  const bytesPerSecond = Number(text);
  if (bytesPerSecond >= longestSpeed) throw new Refusal('max_bps out of range');
  return bytesPerSecond === 0 ? undefined : bytesPerSecond;
}
