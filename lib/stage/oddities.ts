/**
 * What real peers do although one would not expect it: each oddity has a name, and is let pass because of its row
 * here. The order stage tells when it meets one; under `strict` it refuses it instead.
 */
import { type Fact, MillraceError } from '../errors.ts';
import { tell } from '../telemetry.ts';

interface Oddity {
  /** One sentence for a log line. */
  text: string;
  /** Who does it, and the section of the protocol reference that says so. */
  source: string;
}

const rows = {
  firstNumber: {
    text: 'the first packet of a stream is not number 0',
    source: 'snapshots go on counting; live clients attach late (relay-protocol §11.1)',
  },
  packetJump: {
    text: 'the packet sequence number jumps, the net sequence number does not',
    source: 'clear, overwrite mode (relay-protocol §11.1)',
  },
  noIndex: {
    text: 'no packet of this session gets an index',
    source: 'snapshots, and producers before 2.4 (relay-protocol §10.1)',
  },
  metadataLast: {
    text: 'packets come before any metadata of their trace',
    source: 'non-live producers, above all per-process buffers (relay-protocol §9)',
  },
  metadataAgain: {
    text: 'a rotated metadata stream starts anew with the whole text',
    source: 'every rotation; also after the old chunk is done (relay-protocol §9)',
  },
  unpublished: {
    text: 'packets come before their streams were published',
    source: 'snapshots never publish; a relay accepts both before STREAMS_SENT (relay-protocol §7.4, §7.5)',
  },
  beaconWithoutChunk: {
    text: 'a live beacon comes for a stream that is in no chunk',
    source: 'after CLOSE_TRACE_CHUNK until CLOSE_STREAM (relay-protocol §10.2)',
  },
  chunkDoneEarly: {
    text: 'a chunk is done before all its streams have left it',
    source: 'CLOSE_TRACE_CHUNK only marks (relay-protocol §12.3)',
  },
  emptyStream: {
    text: 'a stream ends without ever having had a packet',
    source: 'a CPU on which nothing happened (relay-protocol §7.8)',
  },
  emptySession: {
    text: 'a session ends without ever having had a stream',
    source: 'per-process buffers without applications (relay-protocol §11.2)',
  },
  endEarly: {
    text: 'a stream is closed before its last data has come',
    source:
      'snapshots: the two connections race (relay-protocol §11.3, §17); the end then waits for the data',
  },
  unclosed: {
    text: 'a session ends and its streams were not closed',
    source: 'a producer that was killed; a connection that broke (relay-protocol §11.3)',
  },
} as const satisfies Record<string, Oddity>;

/** The names of all oddities. */
export type OddityName = keyof typeof rows;

/** The table: each exception by name. */
export const oddities: Readonly<Record<OddityName, Oddity>> = rows;

/** Takes note of an oddity; throws MR_ERR_STAGE_ORDER instead when `strict`. */
export type Note = (oddity: OddityName, frame: string, facts: Record<string, Fact>) => void;

/** Makes the one door that all oddities pass. */
export function noteOddities(strict: boolean): Note {
  return (oddity, frame, facts) => {
    const { text } = rows[oddity];
    if (strict) throw new MillraceError('MR_ERR_STAGE_ORDER', { frame, state: oddity, why: text, ...facts });
    tell('debug', 'stage:oddity', text, { oddity, frame, ...facts });
  };
}
