// Conversations made invalid, the same way for each seed: whatever is said, the server and the others live on.
import test from 'ava';
import { noise } from '../../helpers/bytes.ts';
import { mutate } from '../../helpers/mutate.ts';
import { client, mib, newImage, RawClient, serve } from '../../helpers/nbd.ts';
import { conversations } from '../../helpers/nbd-conversations.ts';

for (const { name, style, said } of conversations)
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
