import { pattern } from '../helpers/bytes.ts';
import { dataFrame } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Brings a packet for a metadata stream. */
export const dataToMetadataStream: Fake = async (ports, t) => {
  const producer = await intruder(ports, t);
  const stream = await producer.addStream('metadata');
  producer.data.write(dataFrame(stream, 0n, pattern(1000)));
  return producer.data;
};
