import { addStream } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Adds streams until it is stopped. */
export const millionStreams: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  for (let n = 0; n < 1_000_000; n += 1) {
    const reply = await control.ask(addStream(15, { channelName: `c_${n}`, path: 'ust' }), 12);
    if (reply.readUInt32BE(8) !== 10) break;
  }
  return control;
};
