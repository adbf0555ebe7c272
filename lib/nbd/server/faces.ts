/**
 * The two manners of answering. Newstyle is the protocol of today; oldstyle is what flexnbd's programs expect: no limit
 * on lengths, flags that it does not know ignored, one error for everything beyond the end. Source: nbd-migration, A.4,
 * A.5, B.10, B.11.
 */
import { limits } from '../../limits.ts';
import { type CommandName, type NbdErrorName, nbdCommands } from '../../wire/nbd/index.ts';

/** What clients of newstyle are told. */
export const blockSizes = {
  minimumBytes: 1,
  preferredBytes: 4096,
  maximumPayloadBytes: limits.nbdPayloadBytes,
} as const;

export interface Face {
  /** Commands that are known. */
  readonly commands: ReadonlySet<CommandName>;
  /** The answer to a request that begins with other bytes than a request; undefined: none. Then it is closed. */
  readonly wrongMagic: NbdErrorName | undefined;
  /** Unknown and misplaced flags are refused. */
  readonly checksFlags: boolean;
  /** Commands without a range must have none. */
  readonly checksEmptyRange: boolean;
  /** Whether a command without a range is held against the size all the same. */
  readonly boundsEverything: boolean;
  /** The answer to a range beyond the end. */
  beyondEnd(command: CommandName): NbdErrorName;
  /** Data of one request, bytes. */
  readonly maximumPayloadBytes: number;
}

const all = nbdCommands.map(({ name }) => name);

/** `migration`: oldstyle, for sources that may also know how to make holes. */
export type FaceName = 'newstyle' | 'oldstyle' | 'migration';

const oldstyle: Face = {
  commands: new Set<CommandName>(['read', 'write', 'disconnect', 'flush']),
  wrongMagic: 'EBADMSG',
  checksFlags: false,
  checksEmptyRange: false,
  boundsEverything: true,
  beyondEnd: () => 'ENOSPC',
  maximumPayloadBytes: Number.POSITIVE_INFINITY,
};

export const faces: Readonly<Record<FaceName, Face>> = {
  newstyle: {
    commands: new Set(all),
    wrongMagic: undefined,
    checksFlags: true,
    checksEmptyRange: true,
    boundsEverything: false,
    beyondEnd: (command) => (command === 'write' || command === 'writeZeroes' ? 'ENOSPC' : 'EINVAL'),
    maximumPayloadBytes: blockSizes.maximumPayloadBytes,
  },
  oldstyle,
  migration: { ...oldstyle, commands: new Set<CommandName>([...oldstyle.commands, 'writeZeroes']) },
};
