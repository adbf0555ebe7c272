/** Requests of the transmission phase, and the table of commands. Source: nbd-migration, A.2, B.7, B.11, B.12. */
import { constant, struct, u16, u32, u64 } from '../../schema/index.ts';
import { commandFlags, transmissionFlags } from './flags.ts';

export const requestMagic = 0x2560_9513;
export const extendedRequestMagic = 0x21e4_1c71;

/** In front of every request. The cookie is opaque and comes back in the reply. */
export const requestHeader = struct('requestHeader', [
  ['magic', u32, 'requestMagic', 'checked by the reader, which answers a wrong one'],
  ['flags', u16, 'commandFlags'],
  ['type', u16, 'commands'],
  ['cookie', u64, 'opaque'],
  ['offset', u64, 'bytes'],
  ['length', u32, 'bytes', 'of a WRITE: data that follows'],
]);

/** The same once extended headers are agreed. */
export const extendedRequestHeader = struct('extendedRequestHeader', [
  ['magic', constant(u32, extendedRequestMagic), ''],
  ['flags', u16, 'commandFlags'],
  ['type', u16, 'commands'],
  ['cookie', u64, 'opaque'],
  ['offset', u64, 'bytes'],
  ['length', u64, 'bytes', 'of the payload with flag payloadLength, of the effect without'],
]);

interface Row {
  readonly code: number;
  /** Flags it may carry, `payloadLength` apart. */
  readonly flags: number;
  /** Its effect changes the export. */
  readonly writes: boolean;
  /** Its offset and length name bytes of the export. */
  readonly ranged: boolean;
  /** Advertised by this flag; undefined: always there. */
  readonly advertised: number | undefined;
}

const { fua, noHole, df, reqOne, fastZero } = commandFlags;

/** Every command this server knows. */
export const commandRows = {
  read: { code: 0, flags: fua | df, writes: false, ranged: true, advertised: undefined },
  write: { code: 1, flags: fua, writes: true, ranged: true, advertised: undefined },
  disconnect: { code: 2, flags: fua, writes: false, ranged: false, advertised: undefined },
  flush: { code: 3, flags: fua, writes: false, ranged: false, advertised: transmissionFlags.sendFlush },
  trim: { code: 4, flags: fua, writes: true, ranged: true, advertised: transmissionFlags.sendTrim },
  cache: { code: 5, flags: fua, writes: false, ranged: true, advertised: transmissionFlags.sendCache },
  writeZeroes: {
    code: 6,
    flags: fua | noHole | fastZero,
    writes: true,
    ranged: true,
    advertised: transmissionFlags.sendWriteZeroes,
  },
  blockStatus: { code: 7, flags: fua | reqOne, writes: false, ranged: true, advertised: undefined },
} as const satisfies Record<string, Row>;

export type CommandName = keyof typeof commandRows;
export type NbdCommand = Row & { readonly name: CommandName };

/** The commands by number, 0 to 7 without a gap. */
export const nbdCommands: readonly NbdCommand[] = Object.entries(commandRows).map(([name, row]) => ({
  ...row,
  name: name as CommandName,
}));
