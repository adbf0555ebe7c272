import type { Context } from '../context.ts';

const colorful = /^(xterm|rxvt|konsole|gnome|screen|tmux|putty)/;

/** Whether colours are on, unless an option turns them off. Source: ctf, "Colours". */
export function isColorful({ env, isTerminal, stderr }: Context): boolean {
  const wish = env.BABELTRACE_TERM_COLOR?.toLowerCase();
  if (wish === 'always') return true;
  if (wish === 'never') return false;
  const both = isTerminal && (stderr as { isTTY?: boolean }).isTTY === true;
  return both && colorful.test(env.TERM ?? '');
}
