/** What a recorded conversation consists of, as records of a frame log and back. */
import type { LogRecord } from '../disk/log-parser.ts';
import type { LogEntry } from '../disk/log-writer.ts';
import { logKinds } from '../wire/frame-log.ts';
import {
  bytesBody,
  connectionEndBody,
  connectionOpenBody,
  connectionRoles,
  directions,
  nameIn,
  outcomes,
} from '../wire/frame-log-bodies.ts';

export type ConnectionRole = keyof typeof connectionRoles;
export type Direction = keyof typeof directions;

/** Somebody connected. `connection`: a number, from 0 in order of acceptance. */
export interface ConnectionOpen {
  kind: 'connectionOpen';
  connection: number;
  role: ConnectionRole;
  peer: string;
}

/** What one read brought. */
export interface Bytes {
  kind: 'bytes';
  connection: number;
  direction: Direction;
  bytes: Buffer;
}

/** No more will come in this direction: its sender has finished, or the connection broke. */
export interface ConnectionEnd {
  kind: 'connectionEnd';
  connection: number;
  direction: Direction;
  outcome: keyof typeof outcomes;
}

export type Utterance = ConnectionOpen | Bytes | ConnectionEnd;

const empty = Buffer.alloc(0);

/** An utterance to be written; its bytes are borrowed until they are. */
export function encodeUtterance(said: Utterance): LogEntry {
  switch (said.kind) {
    case 'connectionOpen': {
      const role = connectionRoles[said.role];
      return { kind: said.kind, parts: [connectionOpenBody.encode({ ...said, role })] };
    }
    case 'bytes': {
      const direction = directions[said.direction];
      return { kind: said.kind, parts: [bytesBody.encode({ ...said, direction, bytes: empty }), said.bytes] };
    }
    case 'connectionEnd': {
      const [direction, outcome] = [directions[said.direction], outcomes[said.outcome]];
      return { kind: said.kind, parts: [connectionEndBody.encode({ ...said, direction, outcome })] };
    }
  }
}

/**
 * The utterance of a record, or undefined when it is another kind of record. Bytes are a view of the record's.
 * Throws MR_ERR_WIRE_* for a body that does not fit its layout.
 */
export function decodeUtterance({ kind, body }: LogRecord): Utterance | undefined {
  switch (kind) {
    case logKinds.connectionOpen: {
      const value = connectionOpenBody.decode(body);
      return { kind: 'connectionOpen', ...value, role: nameIn(connectionRoles, value.role, 'role') };
    }
    case logKinds.bytes: {
      const value = bytesBody.decode(body);
      return { kind: 'bytes', ...value, direction: nameIn(directions, value.direction, 'direction') };
    }
    case logKinds.connectionEnd: {
      const value = connectionEndBody.decode(body);
      const direction = nameIn(directions, value.direction, 'direction');
      return {
        kind: 'connectionEnd',
        ...value,
        direction,
        outcome: nameIn(outcomes, value.outcome, 'outcome'),
      };
    }
    default:
      return undefined;
  }
}
