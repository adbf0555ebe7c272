/** How lines look: names, trace fields, colours. All of it is compiled into the code that writes lines. */

export interface TextStyle {
  /** Which names stand before values. Source: ctf, "-n, names". */
  names: { payload: boolean; context: boolean; scope: boolean; header: boolean };
  /** Which facts of the trace stand before the event's name. Source: ctf, "Trace fields". */
  fields: {
    trace: boolean;
    hostname: boolean;
    domain: boolean;
    procname: boolean;
    vpid: boolean;
    loglevel: boolean;
    emf: boolean;
  };
  color: boolean;
  /** The time since the event printed before. */
  delta: boolean;
  clock: ClockStyle;
}

export interface ClockStyle {
  form: 'time' | 'date' | 'seconds' | 'cycles';
  gmt: boolean;
}

/** Sequences for a terminal; empty without colours. Source: ctf, "Colours". */
export interface Paint {
  time: string;
  eventName: string;
  fieldName: string;
  value: string;
  unknown: string;
  headerName: string;
  reset: string;
}

const bold = '\x1b[1m';
const colors: Paint = {
  time: `${bold}${bold}\x1b[33m`,
  eventName: `${bold}${bold}\x1b[35m`,
  fieldName: '\x1b[36m',
  value: bold,
  unknown: `${bold}${bold}\x1b[31m`,
  headerName: bold,
  reset: '\x1b[0m',
};
const plain: Paint = {
  time: '',
  eventName: '',
  fieldName: '',
  value: '',
  unknown: '',
  headerName: '',
  reset: '',
};

export function paintOf({ color }: Pick<TextStyle, 'color'>): Paint {
  return color ? colors : plain;
}
