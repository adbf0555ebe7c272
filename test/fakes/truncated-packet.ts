import { pattern } from '../helpers/bytes.ts';
import { dataFrame } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Ends its data connection in the middle of a packet. */
export const truncatedPacket: Fake = async (ports, t) => {
  const producer = await intruder(ports, t);
  const stream = await producer.addStream('c_0');
  producer.data.socket.end(dataFrame(stream, 0n, pattern(5000)).subarray(0, 3000));
  return producer.data;
};
