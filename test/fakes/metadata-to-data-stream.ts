import { pattern } from '../helpers/bytes.ts';
import { sendMetadata } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Sends metadata to a data stream, where lttng-relayd would store it. */
export const metadataToDataStream: Fake = async (ports, t) => {
  const producer = await intruder(ports, t);
  const stream = await producer.addStream('c_0');
  producer.control.write(sendMetadata(stream, pattern(1000)));
  return producer.control;
};
