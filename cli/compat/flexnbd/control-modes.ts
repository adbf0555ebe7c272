/** The modes that only speak to the control socket of a server. Source: nbd-migration, C.1, C.2, C.3. */
import { loadFlexnbd } from '../../../lib/index.ts';
import type { Context } from '../../context.ts';
import type { Mode } from './mode.ts';
import { options } from './options.ts';

/** Says one command; the answer's text goes to stdout, or to stderr with its code as exit status. */
async function ask(
  context: Context,
  sock: string | undefined,
  name: string,
  args: ReadonlyArray<string | undefined> = [],
): Promise<number> {
  const { askFlexnbd } = await loadFlexnbd();
  const { code, text } = await askFlexnbd(sock ?? '', name, args);
  (code === 0 ? context.stdout : context.stderr).write(`${text}\n`);
  return code;
}

export const mirror: Mode = {
  name: 'mirror',
  summary: 'Asks the server behind a control socket to migrate its disk to a listening server.',
  options: [options.sock, options.addr, options.port, options.unlink, options.bind],
  required: ['sock', 'addr', 'port'],
  run: (context, { sock, addr, port, unlink, bind }) =>
    ask(context, sock, 'mirror', [addr, port, unlink ? 'unlink' : 'exit', bind]),
};

export const mirrorSpeed: Mode = {
  name: 'mirror-speed',
  summary: 'Changes the limit of the migration that runs.',
  options: [options.sock, options.maxSpeed],
  required: ['sock', 'max-speed'],
  run: (context, { sock, 'max-speed': speed }) => ask(context, sock, 'mirror_max_bps', [speed]),
};

export const breakMirror: Mode = {
  name: 'break',
  summary: 'Breaks the migration off that runs.',
  options: [options.sock],
  required: ['sock'],
  run: (context, { sock }) => ask(context, sock, 'break'),
};

export const status: Mode = {
  name: 'status',
  summary: 'Prints one line about a server.',
  options: [options.sock],
  required: ['sock'],
  run: (context, { sock }) => ask(context, sock, 'status'),
};

export const acl: Mode = {
  name: 'acl',
  summary: 'Replaces the access list of a server.',
  operands: '[ACL entry]...',
  options: [options.sock],
  required: ['sock'],
  run: (context, { sock }, entries) => ask(context, sock, 'acl', entries),
};
