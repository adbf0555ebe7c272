/** What is refused, with which code, and whether the connection lives on. Source: relay-protocol, "Errors and limits". */
import { join, none, pattern, text, u8, u32, u64 } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

/** Commands whose payload has a fixed head, with that head's size. */
const heads: ReadonlyArray<readonly [name: keyof typeof r.codes, sizeBytes: number]> = [
  ['version', 8],
  ['sendMetadata', 12],
  ['closeStream', 16],
  ['dataPending', 16],
  ['quiescentControl', 8],
  ['beginDataPending', 8],
  ['endDataPending', 8],
  ['sendIndex', 80],
  ['resetMetadata', 16],
  ['rotateStreams', 13],
  ['createTraceChunk', 20],
  ['closeTraceChunk', 21],
  ['traceChunkExists', 8],
  ['getConfiguration', 8],
];
for (const [name, sizeBytes] of heads)
  test(`${name} one byte short closes the connection without a reply`, async (t) => {
    const relay = await TestRelay.start(t);
    for (const bytes of [0, sizeBytes - 1]) {
      const producer = await Producer.open(t, relay, { idSessiond: BigInt(bytes) });
      producer.control.write(r.request(r.codes[name], Buffer.alloc(bytes)));
      t.is((await producer.control.rest()).toString('hex'), '', `${bytes} bytes`);
      await producer.control.closed;
      const told = relay.complaints(producer.control.name);
      t.deepEqual(
        told.map(({ facts }) => facts.command),
        [name],
      );
      await producer.data.destroy();
    }
    await relay.empty();
  });

test('a payload longer than its command needs is accepted, and the tail ignored', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.ok(r.request(r.codes.beginDataPending, join(u64(1), pattern(100))));
  t.is(await producer.ret(r.request(r.codes.dataPending, join(u64(stream), u64(none), pattern(70_000)))), 0);
  const long = join(u64(9), u64(0), u32(0), pattern(300_000));
  t.is(await producer.ret(r.request(r.codes.createTraceChunk, long)), 10);
  t.is((await producer.control.ask(r.traceChunkExists(9n), 5)).toString('hex'), '0000000a01');
});

const unknownCommands = [0, 4, 12, 14, 15, 23, 10_000, 0xffff_ffff];
for (const code of unknownCommands)
  test(`command ${code}, which nobody sends, gets 11 and a close, whatever its payload`, async (t) => {
    const relay = await TestRelay.start(t);
    const peer = await Peer.connect(relay.control);
    await peer.ask(r.version(15), 8);
    peer.write(r.request(code, pattern(100)));
    t.is((await peer.rest()).toString('hex'), '0000000b');
    await peer.closed;
    t.deepEqual(
      relay.complaints(peer.name).map((told) => told.code),
      ['MR_ERR_RELAY_COMMAND'],
    );
  });

test('a payload of 134217729 bytes closes at once without a reply; one of 134217728 is awaited', async (t) => {
  const relay = await TestRelay.start(t);
  for (const [bytes, closes] of [
    [134_217_729n, true],
    [1n << 63n, true],
    [none, true],
    [134_217_728n, false],
  ] as const) {
    const peer = await Peer.connect(relay.control);
    await peer.ask(r.version(15), 8);
    peer.write(r.request(r.codes.sendMetadata, Buffer.alloc(0), bytes));
    if (closes) {
      t.is((await peer.rest()).length, 0);
      await peer.closed;
      t.is(relay.complaints(peer.name)[0]?.code, 'MR_ERR_WIRE_LONG');
    } else t.deepEqual(relay.complaints(peer.name), []);
    await peer.destroy();
  }
  await relay.empty();
});

test('CREATE_SESSION with lengths beyond its payload, or without a NUL, gets 25 and a close', async (t) => {
  const relay = await TestRelay.start(t);
  const good = r.createSession(15).subarray(24);
  const lengths = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes.writeUInt32BE(value, at);
    return bytes;
  };
  const noNul = Buffer.from(good);
  noNul[63 + 2] = 0x41;
  const bad = [
    Buffer.alloc(0),
    good.subarray(0, 62),
    good.subarray(0, good.length - 1),
    lengths(0, 0),
    lengths(0, 256),
    lengths(4, 257),
    lengths(8, 4097),
    lengths(0, 0xffff_ffff),
    lengths(4, 0x8000_0000),
    noNul,
  ];
  for (const payload of bad) {
    const peer = await Peer.connect(relay.control);
    await peer.ask(r.version(15), 8);
    peer.write(r.request(r.codes.createSession, payload));
    t.is((await peer.rest()).toString('hex'), '0000000000000000' + '00000019' + '00000000');
    await peer.closed;
  }
  await relay.empty();
  t.deepEqual(relay.tree(), {});
});

/** Refusal of ADD_STREAM: no handle, code 11. */
const noStream = `${'f'.repeat(16)}0000000b`;

test('ADD_STREAM that is malformed gets handle -1 and 11, and a close', async (t) => {
  const relay = await TestRelay.start(t);
  const zeros = Buffer.alloc(24);
  const bad = [
    Buffer.alloc(0),
    Buffer.alloc(31),
    join(u32(4), u32(4), zeros, text('c_0'), Buffer.from('ust')),
    join(u32(4), u32(4), zeros, Buffer.from('c_0x'), text('ust')),
    join(u32(0), u32(4), zeros, text('ust')),
    join(u32(265), u32(4), zeros, pattern(300)),
    join(u32(4), u32(256), zeros, pattern(300)),
    join(u32(0xffff_fffc), u32(8), zeros, text('c_0'), text('ust')),
  ];
  for (const payload of bad) {
    const producer = await Producer.open(t, relay);
    producer.control.write(r.request(r.codes.addStream, payload));
    t.is((await producer.control.rest()).toString('hex'), noStream);
    await producer.control.closed;
    await producer.data.destroy();
  }
  await relay.empty();
});

const escapes: ReadonlyArray<readonly [channelName: string, path: string]> = [
  ['c_0', '../up'],
  ['c_0', '..'],
  ['c_0', 'ust/../../../up'],
  ['c_0', '/../up'],
  ['c_0', 'x/..'],
  ['../up_0', 'ust'],
  ['..', 'ust'],
  ['.', 'ust'],
  ['/etc/up_0', 'ust'],
  ['c/d', 'ust'],
];
test('ADD_STREAM that leads out of its session is refused, and the connection goes on', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  for (const [channelName, path] of escapes) {
    const reply = await producer.control.ask(r.addStream(15, { channelName, path }), 12);
    t.is(reply.toString('hex'), noStream, `${path} ${channelName}`);
  }
  t.is(relay.complaints(producer.control.name).length, escapes.length);
  const stream = await producer.addStream('c_0', '/ust//./x/');
  await producer.packet(stream, 0n, pattern(9));
  await producer.stored(stream, 0n);
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  t.deepEqual(Object.keys(relay.tree()), [
    'vm/s1-20231114-221320/ust/x/c_0',
    'vm/s1-20231114-221320/ust/x/index/c_0.idx',
  ]);
});

test('ADD_STREAM with a channel name longer than the file system takes is refused, and the connection goes on', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  for (const channelName of ['n'.repeat(256), 'n'.repeat(263)]) {
    const reply = await producer.control.ask(r.addStream(15, { channelName, path: 'ust' }), 12);
    t.is(reply.toString('hex'), noStream);
  }
  await producer.addStream('c_0');
});

test('ADD_STREAM without a trace chunk is refused with 11', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay, { chunk: undefined });
  const reply = await producer.control.ask(r.addStream(15, { channelName: 'c_0', path: 'ust' }), 12);
  t.is(reply.readUInt32BE(8), 11);
});

const unknownStream: ReadonlyArray<readonly [name: string, request: Buffer, reply: string]> = [
  ['CLOSE_STREAM', r.closeStream(99n, 0n), '0000000b'],
  ['SEND_INDEX', r.sendIndex(15, 99n, 0n, r.indexFacts(0n, 8)), '0000000b'],
  ['RESET_METADATA', r.resetMetadata(99n), '0000000b'],
  ['DATA_PENDING', r.dataPending(99n, 0n), 'ffffffff'],
  ['ROTATE_STREAMS', r.rotateStreams([[99n, 0n]]), '00000061'],
  ['SEND_METADATA', r.sendMetadata(99n, Buffer.from('x')), ''],
];
for (const [name, request, reply] of unknownStream)
  test(`${name} of an unknown stream is answered ${reply === '' ? 'with nothing' : reply}, and closed`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay);
    producer.control.write(request);
    t.is((await producer.control.rest()).toString('hex'), reply);
    await producer.control.closed;
    t.deepEqual(
      relay.complaints(producer.control.name).map(({ code }) => code),
      ['MR_ERR_RELAY_STREAM_UNKNOWN'],
    );
  });

test('QUIESCENT_CONTROL of an unknown stream and questions for an unknown session are answered, and nothing closes', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  await producer.ok(r.quiescentControl(99n));
  await producer.ok(r.beginDataPending(99n));
  t.is(await producer.ret(r.endDataPending(99n)), 0);
});

test('RESET_METADATA of a data stream, or in a live session, gets 11 and a close', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.control.write(r.resetMetadata(stream));
  t.is((await producer.control.rest()).toString('hex'), '0000000b');
  const live = await Producer.open(t, relay, { liveTimerUs: 1000, idSessiond: 1n, sessionName: 's2' });
  const metadata = await live.addStream('metadata');
  live.control.write(r.resetMetadata(metadata));
  t.is((await live.control.rest()).toString('hex'), '0000000b');
});

const chunkNames = ['', '.', '..', 'a.b', 'a/b', '/abs', 'n'.repeat(255)];
for (const name of chunkNames)
  test(`CREATE_TRACE_CHUNK named ${JSON.stringify(name.slice(0, 10))} (${name.length}) gets 97 and a close`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay, { chunk: undefined });
    producer.control.write(r.createTraceChunk(0n, name));
    t.is((await producer.control.rest()).toString('hex'), '00000061');
  });

test('CREATE_TRACE_CHUNK with a name that has no NUL gets 97 and a close', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay, { chunk: undefined });
  producer.control.write(
    r.request(r.codes.createTraceChunk, join(u64(0), u64(0), u32(3), Buffer.from('abc'))),
  );
  t.is((await producer.control.rest()).toString('hex'), '00000061');
});

test('CLOSE_TRACE_CHUNK of an unknown chunk gets 26, with an unknown command 97, each with path length 0 and a close', async (t) => {
  const relay = await TestRelay.start(t);
  const one = await Producer.open(t, relay);
  one.control.write(r.closeTraceChunk(5n));
  t.is((await one.control.rest()).toString('hex'), '0000001a00000000');
  const two = await Producer.open(t, relay);
  two.control.write(r.closeTraceChunk(0n, 3));
  t.is((await two.control.rest()).toString('hex'), '0000006100000000');
});

test('ROTATE_STREAMS accepts all three forms of its head, and no other size', async (t) => {
  const relay = await TestRelay.start(t);
  for (const form of [20, 16, 13] as const) {
    const producer = await Producer.open(t, relay, { idSessiond: BigInt(form) });
    const streams = [await producer.addStream('a_0'), await producer.addStream('b_0')];
    await producer.ok(
      r.rotateStreams(
        streams.map((stream) => [stream, 0n] as const),
        undefined,
        form,
      ),
    );
    await producer.ok(r.rotateStreams([], undefined, form));
    for (const extra of [1, 8, 15]) {
      const peer = await Producer.open(t, relay, { idSessiond: BigInt(form * 100 + extra) });
      const body = join(u32(0), u8(0), Buffer.alloc(form - 5 + extra));
      if ([13, 16, 20].includes(body.length)) continue;
      peer.control.write(r.request(r.codes.rotateStreams, body));
      t.is((await peer.control.rest()).toString('hex'), '', `${body.length} bytes`);
    }
  }
});
