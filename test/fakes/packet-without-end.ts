import { pattern } from '../helpers/bytes.ts';
import { dataHeader } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Announces a packet of 4 GiB, brings 3 MiB of it and falls silent. */
export const packetWithoutEnd: Fake = async (ports, t) => {
  const producer = await intruder(ports, t);
  const stream = await producer.addStream('c_0');
  producer.data.write(dataHeader(stream, 0n, 0xffff_ffff));
  producer.data.write(pattern(3 * 1024 * 1024));
  await producer.data.drained();
  return producer.data;
};
