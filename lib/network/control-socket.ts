/**
 * The control socket: a Unix socket on which an operator steers a long-running command. One command a line in
 * (words separated by blanks), one line of JSON out for each, in order. The socket is private to the user from its
 * birth: it is bound inside a fresh directory that only the user can enter, and gets its name when it is ready.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import split2 from 'split2';
import { objectTransform } from 'through2';
import { MillraceError, printable, why } from '../errors.ts';
import { limits } from '../limits.ts';
import { compose } from '../stage/compose.ts';
import { tell } from '../telemetry.ts';
import { dial } from './dial.ts';
import { listenUnix } from './unix-socket.ts';

/** What a command does with its arguments; what it returns is the answer (JSON; a bigint becomes a string). */
export type ControlCommands = Readonly<Record<string, (args: string[]) => unknown>>;

/** A control socket at work. */
export interface ControlServer {
  /** Cuts who is connected and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves `commands` on a socket at `path`, mode 0600. A socket left there by a dead process is replaced. A command
 * that fails, or that nobody knows, is answered with `{"error": {"code", "message"}}`. A line of more than
 * `limits.controlLineBytes` characters ends its connection. Rejects with MR_ERR_CONTROL_SOCKET: a living process
 * serves this path, something else lies there, or it cannot be made.
 */
export function serveControl(path: string, commands: ControlCommands): Promise<ControlServer> {
  return serveControlSocket(path, (socket) => answer(socket, commands));
}

/** As `serveControl`, for another protocol: `accept` gets each connection, half open when its peer has said all. */
export async function serveControlSocket(
  path: string,
  accept: (socket: Socket) => void,
): Promise<ControlServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    accept(socket);
  });
  try {
    await listenUnix(server, path, (birthPath) => chmodSync(birthPath, 0o600));
  } catch (cause) {
    throw new MillraceError('MR_ERR_CONTROL_SOCKET', { path, why: why(cause) }, { cause });
  }

  return {
    close: () =>
      new Promise((resolve) => {
        rmSync(path, { force: true });
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/**
 * Sends one command line to the control socket at `path` and resolves with its answer. Rejects with
 * MR_ERR_CONTROL_COMMAND when the answer is an error, with MR_ERR_CONTROL_SOCKET when there is none, or with the
 * signal's reason.
 */
export async function askControl(
  path: string,
  line: string,
  options: { signal?: AbortSignal } = {},
): Promise<unknown> {
  const fail = (cause: unknown): MillraceError =>
    new MillraceError('MR_ERR_CONTROL_SOCKET', { path, why: why(cause) }, { cause });
  const socket = await dial({ path }, options).catch((error: unknown) => {
    throw options.signal?.aborted ? error : fail(error);
  });
  const stop = (): void => void socket.destroy(options.signal?.reason as Error);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const reply = await new Promise<string>((resolve, reject) => {
      socket.on('error', reject).on('close', () => reject(new Error('closed without an answer')));
      socket.pipe(split2()).once('data', resolve);
      socket.end(`${line}\n`);
    });
    const value = JSON.parse(reply) as { error?: { message?: unknown } } | null;
    if (value?.error === undefined) return value;
    throw new MillraceError('MR_ERR_CONTROL_COMMAND', { command: line, why: String(value.error.message) });
  } catch (error) {
    throw options.signal?.aborted || error instanceof MillraceError ? error : fail(error);
  } finally {
    options.signal?.removeEventListener('abort', stop);
    socket.destroy();
  }
}

/** Lines to answers; the connection ends with its input, and is cut when a line is too long. */
function answer(socket: Socket, commands: ControlCommands): void {
  const run = objectTransform({ highWaterMark: 1 }, (line: string, _, done) => {
    void reply(line, commands).then((text) => done(null, text));
  });
  const stages = [
    { name: 'control socket', stream: socket },
    { name: 'lines', stream: split2({ maxLength: limits.controlLineBytes }) },
    { name: 'answers', stream: run as unknown as Duplex },
    { name: 'control socket', stream: socket },
  ];
  compose(stages, (outcome) => {
    if (outcome.kind !== 'error') return;
    tell('debug', 'network:control-lost', `control connection lost: ${outcome.error.message}`);
  });
}

async function reply(line: string, commands: ControlCommands): Promise<string> {
  const [name = '', ...args] = line.trim().split(/\s+/);
  let value: unknown;
  try {
    if (!Object.hasOwn(commands, name)) throw unknownCommand(name, commands);
    value = await commands[name]?.(args);
  } catch (error) {
    const code = error instanceof MillraceError ? error.code : 'MR_ERR_CONTROL_COMMAND';
    value = { error: { code, message: why(error) } };
  }
  const text = JSON.stringify(value ?? null, (_, each: unknown) =>
    typeof each === 'bigint' ? each.toString() : each,
  );
  return `${text}\n`;
}

function unknownCommand(name: string, commands: ControlCommands): MillraceError {
  const known = Object.keys(commands).sort().join(', ');
  const facts = { command: printable(name), why: `unknown command; there are: ${known}` };
  return new MillraceError('MR_ERR_CONTROL_COMMAND', facts);
}
