/** Which events begin and end a slice. The table stands in docs/view.md too. */

export interface SliceRule {
  /** Names of events; `*` stands for the same text in both, and is not empty. */
  begin: string;
  end: string;
  /** What the slice is called; absent: the text that `*` stands for. */
  name?: string;
  /** A field of the payload that names the slice instead, and that an end which has it must agree with. */
  field?: string;
}

/** The first rule that fits counts. */
export const sliceRules: readonly SliceRule[] = [
  {
    begin: 'lttng_ust_cyg_profile:func_entry',
    end: 'lttng_ust_cyg_profile:func_exit',
    name: 'function',
    field: 'addr',
  },
  {
    begin: 'lttng_ust_cyg_profile_fast:func_entry',
    end: 'lttng_ust_cyg_profile_fast:func_exit',
    name: 'function',
    field: 'addr',
  },
  { begin: 'syscall_entry_*', end: 'syscall_exit_*' },
  { begin: 'compat_syscall_entry_*', end: 'compat_syscall_exit_*' },
  { begin: '*_entry', end: '*_exit' },
  { begin: '*:entry', end: '*:exit' },
  { begin: '*_begin', end: '*_end' },
  { begin: '*:begin', end: '*:end' },
];

/** An event that says what runs on its CPU from then on. */
export interface SwitchRule {
  event: string;
  /** Fields of the payload. */
  name: string;
  tid: string;
}

export const switchRules: readonly SwitchRule[] = [
  { event: 'sched_switch', name: 'next_comm', tid: 'next_tid' },
];

/** What an event does to the slices of its track. */
export interface SliceRole {
  edge: 'begin' | 'end';
  /** Of a rule and of what `*` stands for: an end ends a slice of its own key. */
  key: string;
  name: string;
  field: string | undefined;
}

/** Undefined: it is an instant. */
export function sliceRoleOf(event: string, rules: readonly SliceRule[] = sliceRules): SliceRole | undefined {
  for (const [i, { begin, end, name, field }] of rules.entries())
    for (const [edge, pattern] of [
      ['begin', begin],
      ['end', end],
    ] as const) {
      const star = starOf(pattern, event);
      if (star !== undefined) return { edge, key: `${i} ${star}`, name: name ?? star, field };
    }
  return undefined;
}

function starOf(pattern: string, event: string): string | undefined {
  const [head = '', tail] = pattern.split('*');
  if (tail === undefined) return pattern === event ? '' : undefined;
  const length = event.length - head.length - tail.length;
  if (length < 1 || !event.startsWith(head) || !event.endsWith(tail)) return undefined;
  return event.slice(head.length, head.length + length);
}
