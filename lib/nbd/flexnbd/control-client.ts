/** Asking a flexnbd, or ours, through its control socket. */
import { MillraceError, printable, why } from '../../errors.ts';
import { dial } from '../../network/dial.ts';
import { answerLineBytes, type ControlAnswer, encodeCommand, parseAnswer } from '../../wire/flexnbd/index.ts';

/**
 * Says one command on the socket at `path` and resolves with the first line of the answer. `args`: undefined for one that
 * is absent. Rejects with MR_ERR_CONTROL_SOCKET when nobody answers, or not as flexnbd does.
 */
export async function askFlexnbd(
  path: string,
  name: string,
  args: ReadonlyArray<string | undefined> = [],
  options: { signal?: AbortSignal } = {},
): Promise<ControlAnswer> {
  const fail = (cause: unknown): MillraceError =>
    new MillraceError('MR_ERR_CONTROL_SOCKET', { path, why: why(cause) }, { cause });
  const socket = await dial({ path }, { ...options, allowHalfOpen: true }).catch((error: unknown) => {
    throw options.signal?.aborted ? error : fail(error);
  });
  const stop = (): void => void socket.destroy(options.signal?.reason as Error);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const line = await new Promise<string>((resolve, reject) => {
      let text = '';
      socket.on('error', reject).on('close', () => reject(new Error('closed without an answer')));
      socket.setEncoding('utf8').on('data', (more: string) => {
        text += more;
        const end = text.indexOf('\n');
        if (end >= 0) resolve(text.slice(0, end));
        else if (text.length > answerLineBytes) reject(new Error('the answer has no end'));
      });
      socket.resume().write(encodeCommand(name, args));
    });
    const answer = parseAnswer(line);
    if (answer === undefined) throw new Error(`no answer of flexnbd's: ${printable(line)}`);
    return answer;
  } catch (error) {
    throw options.signal?.aborted ? error : fail(error);
  } finally {
    options.signal?.removeEventListener('abort', stop);
    socket.destroy();
  }
}
