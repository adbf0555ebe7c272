import { addStream } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Adds a stream three directories above its session. */
export const pathEscapes: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  await control.ask(addStream(15, { channelName: 'c_0', path: '../../../tmp' }), 12);
  return control;
};
