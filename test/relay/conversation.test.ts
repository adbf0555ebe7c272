/** One whole recording as lttng-tools 2.13 and 2.15 send it, from the first byte to the last file. */

import { pattern } from '../helpers/bytes.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

for (const minor of [13, 15])
  test(`a minor ${minor} recording leaves metadata, data with padding and index records, byte for byte`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay, { minor });
    t.is(producer.outputPath, 'vm/s1-20231114-221320');
    const first = await producer.addStream('channel0_0');
    const second = await producer.addStream('channel0_1');
    const metadata = await producer.addStream('metadata');
    await producer.ok(r.streamsSent());
    producer.metadata(metadata, '/* CTF 1.8 */\n', 82);
    await producer.packet(second, 0n, pattern(292), 3804);
    await producer.packet(first, 0n, pattern(4096, 1));
    await producer.packet(second, 1n, pattern(4000, 2), 96);

    // lttng stop
    await producer.ok(r.beginDataPending(producer.sessionId));
    await producer.stored(first, 0n);
    await producer.stored(second, 1n);
    await producer.ok(r.quiescentControl(metadata));
    t.is(await producer.ret(r.endDataPending(producer.sessionId)), 0);

    // lttng destroy
    await producer.ok(
      r.rotateStreams([
        [first, 1n],
        [second, 2n],
      ]),
    );
    await producer.ok(r.rotateStreams([[metadata, 0n]]));
    const closed = await producer.control.ask(r.closeTraceChunk(0n), 8);
    t.is(closed.readUInt32BE(0), 10);
    const path = await producer.control.read(closed.readUInt32BE(4));
    t.is(path.toString(), 'vm/s1-20231114-221320\0');
    t.is((await producer.control.ask(r.traceChunkExists(0n), 5)).toString('hex'), '0000000a00');
    await producer.finish([
      [metadata, r.noPacket],
      [second, 1n],
      [first, 0n],
    ]);
    await relay.empty();

    const directory = `vm/s1-20231114-221320/${ustPath}`;
    t.deepEqual(relay.tree(), {
      [`${directory}/metadata`]: Buffer.concat([Buffer.from('/* CTF 1.8 */\n'), Buffer.alloc(82)]),
      [`${directory}/channel0_0`]: pattern(4096, 1),
      [`${directory}/channel0_1`]: Buffer.concat([
        pattern(292),
        Buffer.alloc(3804),
        pattern(4000, 2),
        Buffer.alloc(96),
      ]),
      [`${directory}/index/channel0_0.idx`]: r.indexFile(minor, [[0, r.indexFacts(0n, 4096)]]),
      [`${directory}/index/channel0_1.idx`]: r.indexFile(minor, [
        [0, r.indexFacts(0n, 4096)],
        [4096, r.indexFacts(1n, 4096)],
      ]),
    });
    t.deepEqual(relay.complaints(), []);
  });
