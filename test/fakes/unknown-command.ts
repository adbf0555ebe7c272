import { request } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Sends a command that no version knows, in the middle of a good session. */
export const unknownCommand: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  control.write(request(4711));
  return control;
};
