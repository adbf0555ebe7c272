/**
 * What a field of a packet's header or context means. CTF 1.8 says it by the member's name, directly in the scope's
 * structure; CTF 2 by roles. Source: ctf, "Members with a meaning" and "Roles".
 */
import { type FieldType, integerOf } from './field-types.ts';

export type Role =
  | 'magic'
  | 'uuid'
  | 'streamClassId'
  | 'streamInstanceId'
  | 'packetSizeBits'
  | 'contentSizeBits'
  | 'timestampBeginCycles'
  | 'timestampEndCycles'
  | 'eventsDiscarded'
  | 'packetSeqNum';

export type PacketScope = 'packetHeader' | 'packetContext';

type Table = Readonly<Record<PacketScope, ReadonlyMap<string, Role>>>;

/** Names of members, CTF 1.8. */
export const rolesByName: Table = {
  packetHeader: new Map<string, Role>([
    ['magic', 'magic'],
    ['uuid', 'uuid'],
    ['stream_id', 'streamClassId'],
    ['stream_instance_id', 'streamInstanceId'],
  ]),
  packetContext: new Map<string, Role>([
    ['packet_size', 'packetSizeBits'],
    ['content_size', 'contentSizeBits'],
    ['timestamp_begin', 'timestampBeginCycles'],
    ['timestamp_end', 'timestampEndCycles'],
    ['events_discarded', 'eventsDiscarded'],
    ['packet_seq_num', 'packetSeqNum'],
  ]),
};

/** Roles of CTF 2. */
export const rolesOfCtf2: Table = {
  packetHeader: new Map<string, Role>([
    ['packet-magic-number', 'magic'],
    ['metadata-stream-uuid', 'uuid'],
    ['data-stream-class-id', 'streamClassId'],
    ['data-stream-id', 'streamInstanceId'],
  ]),
  packetContext: new Map<string, Role>([
    ['packet-total-length', 'packetSizeBits'],
    ['packet-content-length', 'contentSizeBits'],
    ['default-clock-timestamp', 'timestampBeginCycles'],
    ['packet-end-default-clock-timestamp', 'timestampEndCycles'],
    ['discarded-event-record-counter-snapshot', 'eventsDiscarded'],
    ['packet-sequence-number', 'packetSeqNum'],
  ]),
};

/** Whether a member of this type, the `index`th of its structure, can have the role. */
export function fitsRole(role: Role, type: FieldType, index: number): boolean {
  if (role === 'uuid') return type.kind === 'array' && type.length === 16 && isByte(type.element);
  const integer = integerOf(type);
  if (integer === undefined || integer.signed) return false;
  return role !== 'magic' || (index === 0 && integer.sizeBits === 32);
}

function isByte(type: FieldType): boolean {
  return type.kind === 'integer' && type.sizeBits === 8 && type.alignBits === 8 && !type.signed;
}
