import { join, u32, u64 } from '../helpers/bytes.ts';
import { codes, request } from '../helpers/requests.ts';
import { type Fake, intruder } from './fake.ts';

/** Adds a stream whose channel name holds a NUL before its last one. */
export const nulInName: Fake = async (ports, t) => {
  const { control } = await intruder(ports, t);
  const names = Buffer.from('a\0/../b\0ust\0');
  control.write(request(codes.addStream, join(u32(8), u32(4), u64(0), u64(0), u64(0), names)));
  return control;
};
