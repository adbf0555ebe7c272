import { indexFacts, sendIndex } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Announces more packets than a relay can wait for, and brings none. */
export const indexesWithoutData: Fake = async (ports, t) => {
  const producer = await intruder(ports, t);
  const stream = await producer.addStream('c_0');
  const facts = indexFacts(0n, 8);
  for (let n = 0n; n <= 65_536n; n += 1n) producer.control.write(sendIndex(15, stream, n, facts));
  return producer.control;
};
