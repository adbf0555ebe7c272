/** Views traces in this process, as babeltrace2 would print them. */
import { type LineFormat, TextFormat, type TextStyle, TimeText, view } from '../../lib/viewer/index.ts';

export const plainStyle: TextStyle = {
  names: { payload: true, context: true, scope: false, header: false },
  fields: {
    trace: false,
    hostname: true,
    domain: false,
    procname: true,
    vpid: true,
    loglevel: false,
    emf: false,
  },
  color: false,
  delta: true,
  clock: { form: 'time', gmt: true },
};

/** The lines, one character a byte, and the error that ended them. */
export async function viewText(
  inputs: readonly string[],
  format: LineFormat = new TextFormat(plainStyle, new TimeText(plainStyle.clock, () => {})),
): Promise<{ text: string; error: unknown }> {
  let text = '';
  try {
    await view({
      inputs,
      format,
      write: async (lines) => {
        text += Buffer.from(lines).toString('latin1');
      },
    });
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}
