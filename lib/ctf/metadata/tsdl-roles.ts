/**
 * Members of TSDL with a meaning, which they have by their name: directly in the scope's structure, but `id` of an
 * event header at any depth. Source: ctf, "Members with a meaning".
 */
import type { EnumType, FieldType, IntegerType, Member, StructType } from '../field-types.ts';
import { clockRoles, fitsRole, type Role, type RoleScope, rolesByName } from '../roles.ts';
import type { BlockReader } from './block-reader.ts';
import { quoted } from './lexer.ts';

/** A scope's structure with roles. `clockOf`: the clock of a time that names none. Errors: MR_ERR_CTF_METADATA. */
export function structWithRoles(
  reader: BlockReader,
  type: FieldType | undefined,
  scope: RoleScope,
  clockOf: () => string,
): StructType | undefined {
  const struct = reader.struct(type, `the ${scope}`);
  if (struct === undefined) return undefined;
  const members = struct.members.map((member, index): Member => {
    const role = rolesByName[scope].get(member.name);
    if (role === undefined)
      return scope === 'eventHeader' ? { ...member, type: withIds(member.type, new Map()) } : member;
    if (!fitsRole(role, member.type, index))
      throw reader.error(`${quoted(member.name)} has not the type that it must have`);
    return { ...member, role, type: withClock(member.type, role, clockOf) };
  });
  return { ...struct, members };
}

function withClock(type: FieldType, role: Role, clockOf: () => string): FieldType {
  if (!clockRoles.has(role)) return type;
  const mapped = (integer: IntegerType): IntegerType =>
    integer.clock === undefined ? { ...integer, clock: clockOf() } : integer;
  if (type.kind === 'integer') return mapped(type);
  return { ...(type as EnumType), container: mapped((type as EnumType).container) };
}

/** Types that hold others twice are copied once: a name may stand for any number of fields. */
function withIds(type: FieldType, copies: Map<FieldType, FieldType>): FieldType {
  let copy = copies.get(type);
  if (copy !== undefined) return copy;
  const membersOf = (members: readonly Member[]): Member[] =>
    members.map((member) =>
      member.name === 'id' && fitsRole('eventId', member.type, 0)
        ? { ...member, role: 'eventId' }
        : { ...member, type: withIds(member.type, copies) },
    );
  if (type.kind === 'struct') copy = { ...type, members: membersOf(type.members) };
  else if (type.kind === 'variant') copy = { ...type, options: membersOf(type.options) };
  else copy = type;
  copies.set(type, copy);
  return copy;
}
