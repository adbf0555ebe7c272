/** The relay client against relays that misbehave: one clear error each, never a hang, and nothing left lent. */
import type { ExecutionContext } from 'ava';
import type { MillraceError } from '../../../lib/errors.ts';
import type { RelaySinkOptions } from '../../../lib/relay/client/options.ts';
import { relaySink } from '../../../lib/relay/client/relay-sink.ts';
import type { Outcome } from '../../../lib/stage/compose.ts';
import { ScriptedRelay, type Sin } from '../../fakes/relays/scripted-relay.ts';
import { join, noise, pattern, u32, u64 } from '../../helpers/bytes.ts';
import { FrameScript, packet, text } from '../../helpers/frame-script.ts';
import * as f from '../../helpers/frames.ts';
import { codes } from '../../helpers/requests.ts';
import { test } from '../../helpers/serial.ts';

const session = () =>
  new FrameScript({ slabBytes: 1_048_576 })
    .batch(
      f.sessionOpen(),
      f.chunkOpen(),
      f.streamOpen(),
      f.streamOpen({ stream: 9, channelName: 'metadata' }),
    )
    .batch(f.published(), text('/* CTF 1.8 */'), ...packet(1, 0n, pattern(900)))
    .batch(
      ...packet(1, 1n, pattern(1000)),
      f.inactive(1),
      f.switchTo(undefined, 1, 2n),
      f.switchTo(undefined, 9),
    )
    .batch(f.chunkDone(), f.streamEnd(undefined, 9), f.streamEnd(1n), f.sessionEnd());

/** Runs the session into a relay. */
async function into(
  t: ExecutionContext,
  sin: Sin,
  options: Partial<RelaySinkOptions> = {},
  script = session(),
): Promise<{ outcome: Outcome; relay: ScriptedRelay; sink: ReturnType<typeof relaySink> }> {
  const relay = await ScriptedRelay.start(t, sin);
  const { control, data } = relay;
  const sink = relaySink({ control, data, replyTimeoutMs: 5000, pendingIntervalMs: 1, ...options });
  const outcome = await script.into(sink);
  t.is(script.pool.inUse, 0, 'slabs');
  return { outcome, relay, sink };
}

const messageOf = (outcome: Outcome): string =>
  outcome.kind === 'error' ? `${outcome.error.code} ${outcome.error.message}` : outcome.kind;

test('an honest relay gets the whole session', async (t) => {
  const { outcome, relay } = await into(t, {});
  t.deepEqual(outcome, { kind: 'end' });
  const { commands } = relay;
  const opening = ['version', 'getConfiguration', 'createSession', 'createTraceChunk'] as const;
  const streams = ['addStream', 'addStream', 'streamsSent', 'sendMetadata'] as const;
  // two packets and a beacon, away from the chunk, the end of both streams; then nothing is pending
  const packets = ['sendIndex', 'sendIndex', 'sendIndex', 'rotateStreams', 'rotateStreams'] as const;
  const closing = ['closeTraceChunk', 'closeStream', 'closeStream'] as const;
  const ending = ['beginDataPending', 'endDataPending', 'traceChunkExists'] as const;
  const expected = [...opening, ...streams, ...packets, ...closing, ...ending];
  t.deepEqual(
    commands,
    expected.map((name) => codes[name]),
  );
});

// lttng-relayd moves what it has received too early, and dies of it: relay-protocol §12.3
test('the first packet behind a change of trace chunks waits until the index before it is acknowledged', async (t) => {
  const script = new FrameScript()
    .batch(f.sessionOpen(), f.chunkOpen(), f.streamOpen(), f.published())
    .batch(
      f.chunkOpen(1n),
      f.switchTo(1n, 1, 1n),
      ...packet(1, 0n, pattern(300)),
      ...packet(1, 1n, pattern(500)),
    )
    .batch(f.streamEnd(1n), f.sessionEnd());
  const { outcome, relay } = await into(t, { silentAt: codes.sendIndex }, { replyTimeoutMs: 500 }, script);
  t.regex(messageOf(outcome), /^MR_ERR_CLIENT_SILENT/);
  const headerBytes = 32;
  t.is(relay.dataBytes, headerBytes + 300);
});

test('a relay that closes behind any byte of its replies costs one error that says so', async (t) => {
  const honest = await into(t, {});
  const total = honest.relay.replyBytes;
  t.true(total > 100);
  for (let bytes = 0; bytes < total; bytes += 1) {
    const { outcome, sink } = await into(t, { closesAfterBytes: bytes });
    t.regex(
      messageOf(outcome),
      /^MR_ERR_NETWORK_LOST connection to .* lost: the relay closed it/,
      `${bytes} bytes`,
    );
    t.true(sink.progress.acknowledgedPackets <= 2);
    t.is(sink.progress.sessionsDone, 0);
  }
});

const silences = [
  'version',
  'getConfiguration',
  'createSession',
  'createTraceChunk',
  'addStream',
  'streamsSent',
  'sendIndex',
  'rotateStreams',
  'closeTraceChunk',
  'closeStream',
  'beginDataPending',
  'endDataPending',
  'traceChunkExists',
] as const;
for (const command of silences)
  test(`a relay that does not answer ${command} is given up after the deadline`, async (t) => {
    const { outcome } = await into(t, { silentAt: codes[command] }, { replyTimeoutMs: 60 });
    t.regex(
      messageOf(outcome),
      new RegExp(`^MR_ERR_CLIENT_SILENT relay 127.0.0.1:\\d+ did not answer ${command} within 0.06 s$`),
    );
  });

const refusals: ReadonlyArray<readonly [what: string, sin: Sin, expected: RegExp]> = [
  [
    'announces version 3.0',
    { version: [3, 0] },
    /^MR_ERR_CLIENT_VERSION .* announces version 3\.0, expected 2\.1 or later/,
  ],
  ['announces version 2.0', { version: [2, 0] }, /^MR_ERR_CLIENT_VERSION .* announces version 2\.0/],
  [
    'refuses the session',
    { answers: { [codes.createSession]: join(u64(0), u32(25), u32(0)) } },
    /^MR_ERR_CLIENT_REFUSED .* refused createSession with code 25/,
  ],
  [
    'refuses a stream',
    { answers: { [codes.addStream]: join(u64(0), u32(11)) } },
    /refused addStream with code 11/,
  ],
  ['refuses an index', { answers: { [codes.sendIndex]: u32(11) } }, /refused sendIndex with code 11/],
  [
    'announces a path of 4 GiB',
    { answers: { [codes.createSession]: join(u64(1), u32(10), u32(0xffff_ffff)) } },
    /^MR_ERR_CLIENT_REPLY .* path of 4294967295 bytes/,
  ],
  [
    'sends a path without NUL',
    { answers: { [codes.createSession]: join(u64(1), u32(10), u32(2), Buffer.from('ab')) } },
    /^MR_ERR_CLIENT_REPLY/,
  ],
  [
    'answers what nobody asked',
    { answers: { [codes.version]: join(u32(2), u32(13), noise(64, 1)) } },
    /^MR_ERR_CLIENT_REPLY .* nobody had asked for/,
  ],
  [
    'answers the question for pending data with 10',
    { answers: { [codes.endDataPending]: u32(10) } },
    /refused endDataPending with code 10/,
  ],
  [
    'talks on the data connection',
    { talksOnData: true, silentAt: codes.createSession },
    /^MR_ERR_CLIENT_REPLY .* nothing to say/,
  ],
  [
    'closes the data connection',
    { dropsData: true, silentAt: codes.beginDataPending },
    /^MR_ERR_NETWORK_LOST/,
  ],
];
for (const [what, sin, expected] of refusals)
  test(`a relay that ${what} is told of in one error`, async (t) => {
    const { outcome } = await into(t, sin);
    t.regex(messageOf(outcome), expected);
    if (outcome.kind === 'error') t.true((outcome.error as MillraceError).code.startsWith('MR_ERR_'));
  });

test('nonsense in place of any reply is an error, whatever it is', async (t) => {
  for (let seed = 0; seed < 40; seed += 1) {
    const at = Object.values(codes)[seed % 18] as number;
    const { outcome } = await into(
      t,
      { answers: { [at]: noise(1 + (seed % 30), seed) } },
      { replyTimeoutMs: 50, pendingTimeoutMs: 50 },
    );
    t.true(
      outcome.kind === 'error' || !silences.some((name) => codes[name] === at),
      `${at} ${messageOf(outcome)}`,
    );
  }
});

test('a relay that has data pending for ever is given up after the deadline', async (t) => {
  const { outcome, sink } = await into(
    t,
    { answers: { [codes.endDataPending]: u32(1) } },
    { pendingTimeoutMs: 50 },
  );
  t.regex(messageOf(outcome), /^MR_ERR_CLIENT_PENDING/);
  t.is(sink.progress.acknowledgedPackets, 2, 'what was delivered is known');
});

test('a relay that never reads its data connection is given up after the deadline', async (t) => {
  const script = new FrameScript({ slabBytes: 1_048_576, slabs: 64 });
  script.batch(
    f.sessionOpen(),
    f.chunkOpen(),
    f.streamOpen(),
    f.streamOpen({ stream: 9, channelName: 'metadata' }),
  );
  const content = pattern(1_000_000);
  for (let n = 0n; n < 32n; n += 1n) script.batch(...packet(1, n, content));
  const { outcome } = await into(t, { deafOnData: true }, { replyTimeoutMs: 200 }, script);
  t.regex(messageOf(outcome), /^MR_ERR_STAGE_STALLED .* did not drain for 0.2 s/);
});

test('when the data port refuses, nothing stays open on the control port', async (t) => {
  const { outcome, relay } = await into(t, { noData: true });
  t.regex(messageOf(outcome), /^MR_ERR_NETWORK_DIAL cannot connect to 127.0.0.1:\d+: .*ECONNREFUSED/);
  t.deepEqual(relay.commands, []);
});

test('a sink that is called off drops its connections at once', async (t) => {
  const stop = new AbortController();
  const running = into(t, { silentAt: codes.addStream }, { signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 30);
  const { outcome } = await running;
  t.regex(messageOf(outcome), /enough/);
});
