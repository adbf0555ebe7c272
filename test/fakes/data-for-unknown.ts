import { pattern } from '../helpers/bytes.ts';
import { dataFrame } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Brings a packet for a stream that nobody added. */
export const dataForUnknown: Fake = async (ports, t) => {
  const { data } = await intruder(ports, t);
  data.write(dataFrame(4711n, 0n, pattern(5000)));
  return data;
};
