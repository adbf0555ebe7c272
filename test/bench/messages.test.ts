import test from 'ava';
import * as say from './messages.ts';

// Bytes of a real producer 2.13.9, from the captures in relay-protocol, "Annotated captures".

test('VERSION is what a 2.13 producer sends', (t) => {
  t.is(
    say.version().toString('hex'),
    '0000000000000000' + '0000000000000008' + '0000000500000000' + '000000020000000d',
  );
});

test('ADD_STREAM is what a 2.13 producer sends', (t) => {
  t.is(
    say.addStream('channel0_0').toString('hex'),
    '0000000000000000' +
      '000000000000003c' +
      '0000000100000000' +
      '0000000b00000011' +
      '00'.repeat(24) +
      '6368616e6e656c305f3000' +
      '7573742f7569642f302f36342d62697400',
  );
});

test('CREATE_SESSION has the layout of 2.11 to 2.14', (t) => {
  t.is(
    say.createSession('s1', 'vm', 3).toString('hex'),
    '0000000000000000' +
      '0000000000000042' +
      '0000000200000000' +
      '000000030000000300000001' +
      '00000000' +
      '0000' +
      '5a'.repeat(16) +
      '0000000000000003' +
      '000000006553f100' +
      '000000000000000000' +
      '733100766d0000',
  );
});

test('CREATE_TRACE_CHUNK names chunk 0 and no directory', (t) => {
  t.is(
    say.createTraceChunk().toString('hex'),
    '0000000000000000' +
      '0000000000000014' +
      '0000001300000000' +
      '0000000000000000' +
      '000000006553f100' +
      '00000000',
  );
});

test('STREAMS_SENT is a header alone', (t) => {
  t.is(say.streamsSent().toString('hex'), '0000000000000000' + '0000000000000000' + '0000001000000000');
});

test('SEND_METADATA carries stream, padding, text', (t) => {
  t.is(
    say.sendMetadata(3, Buffer.from('/*'), 1159).toString('hex'),
    '0000000000000000' + '000000000000000e' + '0000000600000000' + '000000000000000300000487' + '2f2a',
  );
});

test('DATA_PENDING asks for a stream and its last number', (t) => {
  t.is(
    say.numbers(say.command.dataPending, 1n, 0n).toString('hex'),
    '0000000000000000' + '0000000000000010' + '0000000800000000' + '0000000000000001' + '0000000000000000',
  );
});

// The garbage of the real messages' padding is zero here.

test('ROTATE_STREAMS has the form of 64-bit producers', (t) => {
  t.is(
    say.rotateStreams(1, [1, 2], 1).toString('hex'),
    '0000000000000000' +
      '0000000000000034' +
      '0000001200000000' +
      '00000002' +
      '0100000000000000' +
      '0000000000000001' +
      '0000000000000001' +
      '0000000000000001' +
      '0000000000000002' +
      '0000000000000001',
  );
});

test('CLOSE_TRACE_CHUNK moves the chunk to the archives', (t) => {
  t.is(
    say.closeTraceChunk(0).toString('hex'),
    '0000000000000000' +
      '0000000000000015' +
      '0000001400000000' +
      '0000000000000000' +
      '000000006553f101' +
      '01' +
      '00000000',
  );
});

test('ADD_STREAM carries the limits of its tracefiles', (t) => {
  const message = say.addStream('channel0_0', { sizeBytes: 1_048_576, count: 4 }).toString('hex');
  t.is(message.slice(2 * 32, 2 * 48), '0000000000100000' + '0000000000000004');
});
