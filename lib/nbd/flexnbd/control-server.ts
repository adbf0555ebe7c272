/**
 * flexnbd's control socket. Commands are carried out strictly one after another, in the order in which they were said
 * whole; one that is being typed holds nobody up. `break` alone does not queue: it is what ends the `mirror` that the
 * others wait for. Source: nbd-migration, C.3, L18.
 */
import type { Socket } from 'node:net';
import split2 from 'split2';
import { why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type ControlServer, serveControlSocket } from '../../network/control-socket.ts';
import { tell } from '../../telemetry.ts';
import {
  CommandLines,
  type ControlAnswer,
  type ControlCommand,
  controlLineBytes,
  encodeAnswer,
} from '../../wire/flexnbd/index.ts';

/** Carries out a command; never rejects. */
export type Run = (command: ControlCommand | undefined) => Promise<ControlAnswer>;

/**
 * Serves the socket at `path`, mode 0600; the file goes when it is closed. `hasPriority`: commands that do not queue. A
 * line that is too long, too many lines, or `commandSeconds` without the end of a command cost the connection. Rejects with
 * MR_ERR_CONTROL_SOCKET.
 */
export function serveFlexnbdControl(
  path: string,
  run: Run,
  options: { hasPriority?: (name: string) => boolean; commandSeconds?: number } = {},
): Promise<ControlServer> {
  const { hasPriority = (name) => name === 'break', commandSeconds = limits.flexnbdCommandSeconds } = options;
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn: Run = (command) => {
    if (command !== undefined && hasPriority(command.name)) return run(command);
    const answer = queue.then(() => run(command));
    queue = answer.catch(() => undefined);
    return answer;
  };
  return serveControlSocket(path, (socket) => accept(socket, inTurn, commandSeconds));
}

/** One command in, one answer out; then the connection ends, whatever else is said on it. */
function accept(socket: Socket, run: Run, commandSeconds: number): void {
  const command = new CommandLines();
  const lines = socket.pipe(split2({ maxLength: controlLineBytes }));
  let complete = false;
  const patience = setTimeout(() => give('no command in time'), commandSeconds * 1000);
  const give = (reason: string): void => {
    clearTimeout(patience);
    tell('debug', 'nbd:control-lost', `control connection given up: ${reason}`);
    lines.destroy();
    socket.destroy();
  };
  const finish = (): void => {
    if (complete) return;
    complete = true;
    clearTimeout(patience);
    void run(command.command).then(
      (answer) => socket.end(encodeAnswer(answer)),
      (error: unknown) => give(why(error)),
    );
  };
  socket.on('error', (error) => give(error.message));
  socket.on('close', () => clearTimeout(patience));
  lines
    .on('data', (line: string) => {
      if (complete) return;
      // split2 looks at the length of what has no end yet
      if (line.length > controlLineBytes || command.count > limits.flexnbdCommandLines) give('too long');
      else if (command.take(line)) finish();
    })
    .on('end', finish)
    .on('error', (error: Error) => give(error.message));
}
