import { sendMetadata } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Has 4 GiB of zeros appended to one byte of metadata. */
export const metadataPadding4Gib: Fake = async (ports, t) => {
  const producer = await intruder(ports, t);
  const stream = await producer.addStream('metadata');
  producer.control.write(sendMetadata(stream, Buffer.from('x'), 0xffff_ffff));
  return producer.control;
};
