/** What `nbd read` and `nbd write` have in common. */
import { type NbdUri, parseUri } from '../../lib/index.ts';
import { helpOption, jsonOption, section } from '../common-options.ts';
import { applyOption, type Option, parseBytes, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';

export interface PartSettings {
  help: boolean;
  json: boolean;
  offset: number;
  length: number | undefined;
}

export const partOptionTable: readonly Option<PartSettings>[] = [
  {
    name: 'from',
    short: 'F',
    argument: 'BYTES',
    section,
    help: 'Begin at this offset of the disk; k, M and G are of 1024.',
    default: '0',
    set: (settings, value) => {
      settings.offset = parseBytes(value);
    },
  },
  {
    name: 'size',
    short: 'S',
    argument: 'BYTES',
    section,
    help: 'So many bytes.',
    default: 'up to the end of the disk',
    set: (settings, value) => {
      settings.length = parseBytes(value);
    },
  },
  jsonOption('Print what was done as one JSON object on standard error.'),
  helpOption(),
];

/** Reads the command line of a mode that takes a disk and perhaps a file. Throws `MR_ERR_USAGE`. */
export function parsePart(argv: readonly string[]): PartSettings & { operands: string[] } {
  const settings: PartSettings = { help: false, json: false, offset: 0, length: undefined };
  const { given, operands } = parseOptions(partOptionTable, argv);
  for (const one of given) applyOption(one, settings);
  return { ...settings, operands };
}

/** The address of an export. Throws `MR_ERR_USAGE`, MR_ERR_NETWORK_URI. */
export function parseDisk(text: string | undefined): NbdUri {
  if (text === undefined) throw usageError('the address of a disk is needed, such as nbd://HOST/EXPORT');
  const uri = parseUri(text);
  if (uri.kind !== 'nbd') throw usageError(`${text} is no address of a disk, such as nbd://HOST/EXPORT`);
  return uri;
}
