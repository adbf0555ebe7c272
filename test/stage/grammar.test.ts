import { readFileSync } from 'node:fs';
import test from 'ava';
import type { MillraceError } from '../../lib/errors.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import {
  type ChunkEvent,
  type ChunkState,
  chunkGrammar,
  type SessionEvent,
  type SessionState,
  type StreamEvent,
  type StreamState,
  sessionGrammar,
  streamGrammar,
} from '../../lib/stage/grammar.ts';
import { type OddityName, oddities } from '../../lib/stage/oddities.ts';
import { drawGrammar } from '../helpers/draw-grammar.ts';
import {
  chunkDone,
  chunkOpen,
  data,
  inactive,
  index,
  lost,
  metadata,
  opening,
  published,
  sessionEnd,
  sessionOpen,
  streamEnd,
  streamOpen,
  switchTo,
  sync,
  throughOrder,
} from '../helpers/frames.ts';

const text = { channelName: 'metadata' };

/** Per machine: frames that lead to each state, and a frame for each event. */
const sessionWalk = {
  machine: sessionGrammar,
  to: { absent: [], open: [sessionOpen(), chunkOpen(7n)] } satisfies Record<SessionState, Frame[]>,
  events: {
    sessionOpen: sessionOpen(),
    streamOpen: streamOpen(),
    published: published(),
    sync: sync(),
    chunkOpen: chunkOpen(),
    chunkDone: chunkDone(7n),
    sessionEnd: sessionEnd(),
  } satisfies Record<SessionEvent, Frame>,
};

const session = [sessionOpen(), chunkOpen()];
const data0 = data(0n);
const streamWalk = {
  machine: streamGrammar,
  to: {
    absent: session,
    idle: [...session, streamOpen(), data0],
    packet: [...session, streamOpen(), data0, data(1n, { last: false, end: 4 })],
    text: [...session, streamOpen(text)],
    command: [...session, streamOpen(text), metadata({ stream: 1, last: false })],
  } satisfies Record<StreamState, Frame[]>,
  events: {
    'streamOpen data': streamOpen(),
    'streamOpen metadata': streamOpen(text),
    'data part': data(1n, { last: false }),
    'data last': data(1n),
    index: index(0n),
    'lost next': lost(1n),
    'lost past': lost(0n),
    inactive: inactive(),
    'metadata part': metadata({ stream: 1, last: false }),
    'metadata last': metadata({ stream: 1 }),
    switch: switchTo(0n),
    streamEnd: streamEnd(),
  } satisfies Record<StreamEvent, Frame>,
};

const chunkWalk = {
  machine: chunkGrammar,
  to: {
    absent: [sessionOpen(), streamOpen()],
    open: [sessionOpen(), streamOpen(), chunkOpen()],
  } satisfies Record<ChunkState, Frame[]>,
  events: {
    chunkOpen: chunkOpen(),
    switch: switchTo(0n),
    chunkDone: chunkDone(),
  } satisfies Record<ChunkEvent, Frame>,
};

interface Walk {
  machine: Record<string, Record<string, string | undefined>>;
  to: Record<string, Frame[]>;
  events: Record<string, Frame>;
}
const walks: Record<string, Walk> = { session: sessionWalk, stream: streamWalk, chunk: chunkWalk };

/** A part of packet 1 has 4 bytes behind it when the packet is open. */
const fitting = (frame: Frame, state: string): Frame =>
  frame.kind === 'data' && state === 'packet' ? { ...frame, offsetBytes: 4, start: 4 } : frame;

/** A stream that ends inside a packet first loses it: the end itself comes in the state idle. */
const endsBy: Record<string, string> = { 'packet streamEnd': 'idle' };

for (const [name, { machine, to, events }] of Object.entries(walks)) {
  for (const [state, prefix] of Object.entries(to)) {
    for (const [event, frame] of Object.entries(events)) {
      const allowed = machine[endsBy[`${state} ${event}`] ?? state]?.[event] !== undefined;
      test(`grammar: ${name} ${state}: ${event} is ${allowed ? 'let pass' : 'refused'}`, async (t) => {
        const sent = fitting(frame, state);
        const { passed, error } = await throughOrder(
          [...prefix, sent].map((each) => ({ slab: undefined, frames: [each] })),
        );
        if (allowed) {
          t.is(error, undefined);
          t.true(passed.some(({ kind }) => kind === sent.kind));
          t.is(passed.at(-1)?.kind, sent.kind);
        } else {
          t.is((error as MillraceError | undefined)?.code, 'MR_ERR_STAGE_ORDER');
          t.is((error as MillraceError).facts.frame, sent.kind);
          t.deepEqual(passed, prefix);
        }
      });
    }
  }
}

/** What each oddity looks like, as the reference describes it. */
const examples: Record<OddityName, Frame[]> = {
  firstNumber: [...opening(), data(3n), index(3n), data(4n), index(4n)],
  packetJump: [...opening(), data(0n), index(0n), data(1n), index(1n, { packetSeqNum: 2n })],
  noIndex: [...opening({ minor: 3 }), data(0n), data(1n), streamEnd(1n)],
  metadataLast: [
    ...opening().slice(0, -1),
    data(0n),
    index(0n),
    metadata(),
    streamEnd(undefined, 9),
    streamEnd(0n),
    sessionEnd(),
  ],
  metadataAgain: [
    ...opening(),
    chunkOpen(1n),
    switchTo(1n),
    switchTo(1n, 9),
    chunkDone(0n),
    metadata({ end: 16 }),
  ],
  unpublished: [sessionOpen(), streamOpen(), data(0n), index(0n), published()],
  beaconWithoutChunk: [
    ...opening(),
    switchTo(undefined),
    switchTo(undefined, 9),
    chunkDone(0n),
    inactive(),
    inactive(),
    streamEnd(undefined, 9),
  ],
  chunkDoneEarly: [...opening(), data(0n), chunkOpen(1n), chunkDone(0n), index(0n), switchTo(1n)],
  emptyStream: [...opening(), streamEnd()],
  emptySession: [sessionOpen(), chunkOpen(), chunkDone(), sessionEnd()],
  endEarly: [...opening(), data(0n), index(0n), index(1n), streamEnd(1n), data(1n)],
  unclosed: [...opening(), data(0n), index(0n), sessionEnd({ outcome: 'abort' })],
};

for (const [name, frames] of Object.entries(examples) as [OddityName, Frame[]][]) {
  const batches = () => [{ slab: undefined, frames }];

  test(`oddities: ${name}: ${oddities[name].text}; it is let pass`, async (t) => {
    const { passed, error } = await throughOrder(batches());
    t.is(error, undefined);
    // these two move or add ends of streams
    const isCompared = ({ kind }: Frame) => !['unclosed', 'endEarly'].includes(name) || kind !== 'streamEnd';
    t.deepEqual(passed.filter(isCompared), frames.filter(isCompared));
  });

  test(`oddities: ${name} is refused by its name under strict`, async (t) => {
    const { error } = await throughOrder(batches(), { strict: true });
    const { code, facts } = error as MillraceError;
    t.is(code, 'MR_ERR_STAGE_ORDER');
    t.is(facts.state, name);
  });
}

test('grammar: what a well-behaved producer sends passes under strict', async (t) => {
  const at = { metadataPositionBytes: 8 };
  const frames = [
    ...opening(),
    data(0n),
    index(0n, at),
    sync([1, 0n]),
    chunkOpen(1n),
    switchTo(1n, 1, 1n),
    data(1n),
    index(1n, at),
    inactive(),
    streamEnd(1n),
    streamEnd(undefined, 9),
    chunkDone(0n),
    chunkDone(1n),
    sessionEnd(),
  ];
  const { passed, error } = await throughOrder([{ slab: undefined, frames }], { strict: true });
  t.is(error, undefined);
  t.deepEqual(passed, frames);
});

test('grammar: the README draws the tables as they are', (t) => {
  const readme = readFileSync(new URL('../../../lib/stage/README.md', import.meta.url), 'utf8');
  const drawn = drawGrammar(
    { session: sessionGrammar, stream: streamGrammar, chunk: chunkGrammar },
    oddities,
  );
  t.true(readme.includes(drawn), `lib/stage/README.md should hold:\n${drawn}`);
});
