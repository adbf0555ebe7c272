import { pattern } from '../helpers/bytes.ts';
import { dataFrame } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Resets both of its connections in the middle of a packet, as a host that lost its power and came back. */
export const resetMidPacket: Fake = async (ports, t) => {
  const producer = await intruder(ports, t);
  const stream = await producer.addStream('c_0');
  producer.data.write(dataFrame(stream, 0n, pattern(50_000)).subarray(0, 30_000));
  await producer.data.drained();
  producer.control.socket.resetAndDestroy();
  producer.data.socket.resetAndDestroy();
  return producer.data;
};
