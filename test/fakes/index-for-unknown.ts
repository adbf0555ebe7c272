import { indexFacts, sendIndex } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Sends an index for a stream that nobody added. */
export const indexForUnknown: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  control.write(sendIndex(15, 4711n, 0n, indexFacts(0n, 8)));
  return control;
};
