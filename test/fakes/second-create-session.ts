import { createSession } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Creates a second session on one connection, which aborts lttng-relayd 2.13 and 2.16. */
export const secondCreateSession: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  control.write(createSession(15));
  return control;
};
