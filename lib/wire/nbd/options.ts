/** Option haggling: headers, the table of options, their data. Source: nbd-migration, B.3, B.4, B.9. */
import { limits } from '../../limits.ts';
import { constant, list, rest, type Struct, struct, text, u16, u32, u64 } from '../../schema/index.ts';
import { optionMagic } from './handshake.ts';

/** In front of every option. */
export const optionHeader = struct('optionHeader', [
  ['magic', constant(u64, optionMagic), 'IHAVEOPT'],
  ['option', u32, 'options'],
  ['dataSizeBytes', u32, 'bytes', 'data that follows'],
]);

/** In front of every reply to an option. */
export const optionReplyHeader = struct('optionReplyHeader', [
  ['magic', constant(u64, 0x0003_e889_0455_65a9n), ''],
  ['option', u32, 'options', 'echoed'],
  ['type', u32, 'optionReplies'],
  ['dataSizeBytes', u32, 'bytes', 'data that follows'],
]);

/** An option without data; a longer one is malformed. */
export const emptyData = struct('emptyData', [], { exact: true });

/** Data of EXPORT_NAME: all of it is the name. */
export const exportName = struct('exportName', [['name', rest, 'text']]);

const infoRequest = struct('infoRequest', [['type', u16, 'infoTypes']]);

/** Data of INFO and GO. */
export const exportRequest = struct(
  'exportRequest',
  [
    ['nameLength', u32, 'bytes'],
    ['name', text('nameLength', { max: limits.nbdStringBytes }), 'text', 'empty = the default export'],
    ['infoCount', u16, ''],
    ['infos', list('infoCount', infoRequest, { max: 65_535 }), 'what the client wants to know'],
  ],
  { exact: true },
);

const metaContextQuery = struct('metaContextQuery', [
  ['queryLength', u32, 'bytes'],
  ['query', text('queryLength', { max: limits.nbdStringBytes }), 'text', 'namespace:leaf'],
]);

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export const metaContextRequest = struct(
  'metaContextRequest',
  [
    ['exportNameLength', u32, 'bytes'],
    ['exportName', text('exportNameLength', { max: limits.nbdStringBytes }), 'text'],
    ['queryCount', u32, ''],
    ['queries', list('queryCount', metaContextQuery, { max: limits.nbdMetaQueries }), ''],
  ],
  { exact: true },
);

/** Data of a SERVER reply: one export. */
export const serverReply = struct('serverReply', [
  ['nameLength', u32, 'bytes'],
  ['name', text('nameLength', { max: limits.nbdStringBytes }), 'text'],
  ['description', rest, 'text', 'for people'],
]);

/** What INFO and GO are asked for, and answered with. */
export const infoTypes = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** In front of what an INFO reply says. */
export const infoHead = struct('infoHead', [
  ['type', u16, 'infoTypes'],
  ['payload', rest, ''],
]);

export const infoExport = struct('infoExport', [
  ['type', constant(u16, infoTypes.export), 'infoTypes.export'],
  ['sizeBytes', u64, 'bytes'],
  ['transmissionFlags', u16, 'transmissionFlags'],
]);

export const infoName = struct('infoName', [
  ['type', constant(u16, infoTypes.name), 'infoTypes.name'],
  ['name', rest, 'text'],
]);

export const infoDescription = struct('infoDescription', [
  ['type', constant(u16, infoTypes.description), 'infoTypes.description'],
  ['description', rest, 'text'],
]);

export const infoBlockSize = struct('infoBlockSize', [
  ['type', constant(u16, infoTypes.blockSize), 'infoTypes.blockSize'],
  ['minimumBytes', u32, 'bytes'],
  ['preferredBytes', u32, 'bytes'],
  ['maximumPayloadBytes', u32, 'bytes'],
]);

/** Data of a META_CONTEXT reply. */
export const metaContextReply = struct('metaContextReply', [
  ['contextId', u32, '', '0 when only listed'],
  ['name', rest, 'text'],
]);

interface Row {
  readonly code: number;
  /** Layout of the client's data; undefined: none that this server reads. */
  readonly data: Struct<object> | undefined;
  /** Whether it may come before TLS where TLS is forced. */
  readonly beforeTls: boolean;
}

/** Every option of the protocol. */
export const optionRows = {
  exportName: { code: 1, data: exportName, beforeTls: false },
  abort: { code: 2, data: undefined, beforeTls: true },
  list: { code: 3, data: emptyData, beforeTls: false },
  peekExport: { code: 4, data: undefined, beforeTls: false },
  startTls: { code: 5, data: emptyData, beforeTls: true },
  info: { code: 6, data: exportRequest, beforeTls: false },
  go: { code: 7, data: exportRequest, beforeTls: false },
  structuredReply: { code: 8, data: emptyData, beforeTls: false },
  listMetaContext: { code: 9, data: metaContextRequest, beforeTls: false },
  setMetaContext: { code: 10, data: metaContextRequest, beforeTls: false },
  extendedHeaders: { code: 11, data: emptyData, beforeTls: false },
} as const satisfies Record<string, Row>;

export type OptionName = keyof typeof optionRows;

/** The names by number. */
export const optionNames: ReadonlyMap<number, OptionName> = new Map(
  Object.entries(optionRows).map(([name, { code }]) => [code, name as OptionName]),
);

/** Types of replies to options; bit 31 marks errors, whose data is text for people. */
export const optionReplies = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errUnsup: 0x8000_0001,
  errPolicy: 0x8000_0002,
  errInvalid: 0x8000_0003,
  errPlatform: 0x8000_0004,
  errTlsReqd: 0x8000_0005,
  errUnknown: 0x8000_0006,
  errShutdown: 0x8000_0007,
  errBlockSizeReqd: 0x8000_0008,
  errTooBig: 0x8000_0009,
  errExtHeaderReqd: 0x8000_000a,
} as const;

export type OptionReply = keyof typeof optionReplies;

/** Whether a reply type says no. */
export const isOptionError = (type: number): boolean => type >= 0x8000_0000;
