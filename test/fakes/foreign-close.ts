import { closeStream } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Closes stream 1, which belongs to whoever came first. */
export const foreignClose: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  control.write(closeStream(1n, 0n));
  return control;
};
