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
  | 'packetSeqNum'
  | 'eventId'
  | 'timestampCycles';

/** Parts of a packet whose members may have a role. */
export type RoleScope = 'packetHeader' | 'packetContext' | 'eventHeader';

/** All parts of a packet. */
export type ScopeName = RoleScope | 'eventCommonContext' | 'eventContext' | 'eventPayload';

type Table = Readonly<Record<RoleScope, ReadonlyMap<string, Role>>>;

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
  // `id` at any depth: the last one that is decoded counts.
  eventHeader: new Map<string, Role>([
    ['id', 'eventId'],
    ['timestamp', 'timestampCycles'],
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
  eventHeader: new Map<string, Role>([
    ['event-record-class-id', 'eventId'],
    ['default-clock-timestamp', 'timestampCycles'],
  ]),
};

/** Roles of members that show the time. */
export const clockRoles: ReadonlySet<Role> = new Set<Role>([
  'timestampBeginCycles',
  'timestampEndCycles',
  'timestampCycles',
]);

/** Whether a member of this type, the `index`th of its structure, can have the role. */
export function fitsRole(role: Role, type: FieldType, index: number): boolean {
  if (role === 'uuid') return type.kind === 'array' && type.length === 16 && isByte(type.element);
  const integer = integerOf(type);
  if (integer === undefined) return false;
  // A signed time is no error; it never moves the clock.
  if (integer.signed) return role === 'timestampCycles';
  return role !== 'magic' || (index === 0 && integer.sizeBits === 32);
}

function isByte(type: FieldType): boolean {
  return type.kind === 'integer' && type.sizeBits === 8 && type.alignBits === 8 && !type.signed;
}
