/** Patterns of names, as shells have them. */

/** `star`: any characters; otherwise a test of one. */
type Step = 'star' | ((char: string) => boolean);

/** `*`: any characters; `?`: any one; `[abc]`, `[a-c]`, `[!a]`: one of them, or none of them. All of the text must match. */
export function globOf(pattern: string): (text: string) => boolean {
  const steps = stepsOf(Array.from(pattern));
  return (text) => matches(steps, Array.from(text));
}

function stepsOf(chars: readonly string[]): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    const end = char === '[' ? chars.indexOf(']', at + 2) : -1;
    if (char === '*') steps.push('star');
    else if (char === '?') steps.push(() => true);
    else if (end > 0) {
      steps.push(setOf(chars.slice(at + 1, end)));
      at = end;
    } else steps.push((other) => other === char);
  }
  return steps;
}

function setOf(chars: readonly string[]): (char: string) => boolean {
  const isNegated = chars[0] === '!';
  const members = isNegated ? chars.slice(1) : chars;
  const isMember = (char: string) =>
    members.some((low, i) => {
      const high = members[i + 1] === '-' ? (members[i + 2] ?? low) : low;
      return low <= char && char <= high;
    });
  return (char) => isMember(char) !== isNegated;
}

/** Only the last star is ever tried again: what an earlier one took may stay. Time is bounded by both lengths. */
function matches(steps: readonly Step[], chars: readonly string[]): boolean {
  let step = 0;
  let at = 0;
  let star = -1;
  let taken = 0;
  while (at < chars.length) {
    const current = steps[step];
    if (current === 'star') {
      star = step;
      taken = at;
      step += 1;
    } else if (current?.(chars[at] as string)) {
      step += 1;
      at += 1;
    } else if (star >= 0) {
      taken += 1;
      at = taken;
      step = star + 1;
    } else return false;
  }
  while (steps[step] === 'star') step += 1;
  return step === steps.length;
}
