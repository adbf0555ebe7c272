// Conversations made invalid, the same way for each seed: whatever is said, the server and the others live on.
import test from 'ava';
import { noise, u32 } from '../../helpers/bytes.ts';
import { mutate } from '../../helpers/mutate.ts';
import { client, mib, newImage, RawClient, serve } from '../../helpers/nbd.ts';
import {
  clientFlags,
  commands,
  contextQuery,
  exportQuery,
  option,
  request,
} from '../../helpers/nbd-bytes.ts';

const requests = Buffer.concat([
  request({ type: commands.write, cookie: 1, offset: 4096, length: 512 }),
  noise(512, 1),
  request({ type: commands.read, cookie: 2, length: 8192 }),
  request({ type: commands.status, cookie: 3, length: mib }),
  request({ type: commands.zero, cookie: 4, offset: 65_536, length: 65_536 }),
  request({ type: commands.trim, cookie: 5, offset: 131_072, length: 65_536 }),
  request({ type: commands.flush, cookie: 6 }),
  request({ type: commands.disc, cookie: 7 }),
]);

const newstyle = Buffer.concat([
  clientFlags,
  option(8),
  option(9, contextQuery('')),
  option(10, contextQuery('', 'base:allocation')),
  option(3),
  option(6, exportQuery('', 3)),
  option(7, exportQuery('', 3)),
  requests,
]);

const extended = Buffer.concat([
  clientFlags,
  option(11),
  option(7, exportQuery('')),
  u32(0x21e41c71),
  requests,
]);

for (const [name, style, said] of [
  ['newstyle', 'newstyle', newstyle],
  ['extended headers', 'newstyle', extended],
  ['oldstyle', 'oldstyle', requests],
] as const)
  test(`fuzz: ${name}`, async (t) => {
    // a disk beside it in the same process, and a client of it
    const precious = noise(mib, 9);
    const image = await newImage(t, mib, [[0, precious]]);
    const small = await newImage(t, mib);
    const { port, server } = await serve(t, small, { style });
    const other = await serve(t, image, { style });
    const witness = await client(t, other.port);
    for (let seed = 0; seed < 150; seed += 1) {
      const raw = new RawClient(t, port);
      const bytes = mutate(said, seed);
      const cut = seed % bytes.length;
      raw.say(bytes.subarray(0, cut));
      raw.socket.end(bytes.subarray(cut));
      await raw.closed;
    }
    const back = Buffer.alloc(mib);
    await witness.read(back, 0, mib, 0);
    t.true(back.equals(precious));
    while (server.clients > 0) await new Promise((resolve) => setImmediate(resolve));
    const disk = await client(t, port);
    await disk.write(noise(512, 3), 0, 512, 0);
    await disk.read(back, 0, 512, 0);
    t.true(back.subarray(0, 512).equals(noise(512, 3)));
  });
