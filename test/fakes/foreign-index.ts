import { indexFacts, sendIndex } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Sends an index for stream 1, which belongs to whoever came first. */
export const foreignIndex: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  control.write(sendIndex(15, 1n, 1_000_000n, indexFacts(0n, 8)));
  return control;
};
