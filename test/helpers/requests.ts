/**
 * Requests of LTTng producers, data frames, and the records a relay leaves on disk: each written field by field from
 * the tables of relay-protocol, §4, §7, §8 and §10.
 */
import { field, join, none, text, u8, u32, u64 } from './bytes.ts';

/** Numbers of the commands. Source: relay-protocol, "Command table". */
export const codes = {
  addStream: 1,
  createSession: 2,
  startData: 3,
  version: 5,
  sendMetadata: 6,
  closeStream: 7,
  dataPending: 8,
  quiescentControl: 9,
  beginDataPending: 10,
  endDataPending: 11,
  sendIndex: 13,
  streamsSent: 16,
  resetMetadata: 17,
  rotateStreams: 18,
  createTraceChunk: 19,
  closeTraceChunk: 20,
  traceChunkExists: 21,
  getConfiguration: 22,
} as const;

/** A request: 24 bytes of header, then `payload`; `sizeBytes` may lie about it. */
export function request(code: number, payload: Buffer = Buffer.alloc(0), sizeBytes?: bigint): Buffer {
  return join(u64(0), u64(sizeBytes ?? payload.length), u32(code), u32(0), payload);
}

export const version = (minor: number, major = 2): Buffer =>
  request(codes.version, join(u32(major), u32(minor)));

export const getConfiguration = (queryFlags = 0n): Buffer => request(codes.getConfiguration, u64(queryFlags));

/** What a sessiond says of a session. */
export interface SessionFacts {
  sessionName: string;
  hostname: string;
  basePath: string;
  liveTimerUs: number;
  snapshot: boolean;
  nameHasCreationTime: boolean;
  sessiondUuid: Buffer;
  idSessiond: bigint;
  creationTimeS: bigint;
  currentChunkId: bigint | undefined;
  traceFormat: number;
}

/** 2023-11-14 22:13:20 UTC. */
export const creationTimeS = 1_700_000_000n;
export const creationDate = '20231114-221320';

export const usualSession: SessionFacts = {
  sessionName: 's1',
  hostname: 'vm',
  basePath: '',
  liveTimerUs: 0,
  snapshot: false,
  nameHasCreationTime: false,
  sessiondUuid: Buffer.from('4fd983d1e2674e59beb273be5f2c6231', 'hex'),
  idSessiond: 0n,
  creationTimeS,
  currentChunkId: undefined,
  traceFormat: 1,
};

/** CREATE_SESSION in the layout of `minor`. */
export function createSession(minor: number, facts: Partial<SessionFacts> = {}): Buffer {
  const f = { ...usualSession, ...facts };
  if (minor < 4) return request(codes.createSession);
  if (minor < 11) {
    const names = join(field(f.sessionName, 255), field(f.hostname, 64));
    return request(codes.createSession, join(names, u32(f.liveTimerUs), u32(Number(f.snapshot))));
  }
  const names = [text(f.sessionName), text(f.hostname), text(f.basePath)];
  return request(
    codes.createSession,
    join(
      ...names.map((name) => u32(name.length)),
      u32(f.liveTimerUs),
      u8(Number(f.snapshot)),
      u8(Number(f.nameHasCreationTime)),
      f.sessiondUuid,
      u64(f.idSessiond),
      u64(f.creationTimeS),
      u8(f.currentChunkId === undefined ? 0 : 1),
      u64(f.currentChunkId ?? 0),
      minor < 15 ? Buffer.alloc(0) : u32(f.traceFormat),
      ...names,
    ),
  );
}

/** A stream as a consumerd adds it. */
export interface StreamFacts {
  channelName: string;
  path: string;
  tracefileSizeBytes: bigint;
  tracefileCount: bigint;
}

/** ADD_STREAM in the layout of `minor`. */
export function addStream(
  minor: number,
  facts: Pick<StreamFacts, 'channelName' | 'path'> & Partial<StreamFacts>,
): Buffer {
  const { channelName, path, tracefileSizeBytes = 0n, tracefileCount = 0n } = facts;
  const limited = join(u64(tracefileSizeBytes), u64(tracefileCount));
  if (minor < 11) {
    const names = join(field(channelName, 264), field(path, 4096));
    return request(codes.addStream, minor === 1 ? names : join(names, limited));
  }
  const names = [text(channelName), text(path)];
  const lengths = names.map((name) => u32(name.length));
  return request(codes.addStream, join(...lengths, limited, u64(0), ...names));
}

export const streamsSent = (): Buffer => request(codes.streamsSent);

export function sendMetadata(stream: bigint, content: Buffer, paddingSizeBytes = 0): Buffer {
  return request(codes.sendMetadata, join(u64(stream), u32(paddingSizeBytes), content));
}

export const resetMetadata = (stream: bigint, version = 1n): Buffer =>
  request(codes.resetMetadata, join(u64(stream), u64(version)));

export const closeStream = (stream: bigint, last: bigint): Buffer =>
  request(codes.closeStream, join(u64(stream), u64(last)));

export const dataPending = (stream: bigint, last: bigint): Buffer =>
  request(codes.dataPending, join(u64(stream), u64(last)));
export const quiescentControl = (stream: bigint): Buffer => request(codes.quiescentControl, u64(stream));
export const beginDataPending = (session: bigint): Buffer => request(codes.beginDataPending, u64(session));
export const endDataPending = (session: bigint): Buffer => request(codes.endDataPending, u64(session));

/** The nine numbers of a packet's record; packet sizes in bits. */
export interface IndexFacts {
  packetSizeBits: bigint;
  contentSizeBits: bigint;
  timestampBegin: bigint;
  timestampEnd: bigint;
  eventsDiscarded: bigint;
  streamClassId: bigint;
  streamInstanceId: bigint;
  packetSeqNum: bigint;
}

/** Different numbers for each packet, so that fields that change places are found. */
export function indexFacts(netSeqNum: bigint, packetBytes: number, contentBytes = packetBytes): IndexFacts {
  return {
    packetSizeBits: BigInt(packetBytes) * 8n,
    contentSizeBits: BigInt(contentBytes) * 8n,
    timestampBegin: 0xb5_0000_0000n + (netSeqNum & 0xffffn) * 16n,
    timestampEnd: 0xb5_0000_0008n + (netSeqNum & 0xffffn) * 16n,
    eventsDiscarded: netSeqNum & 0xffn,
    streamClassId: 5n,
    streamInstanceId: 7n,
    packetSeqNum: netSeqNum,
  };
}

function indexFields(minor: number, f: IndexFacts): Buffer {
  const numbers = [
    f.packetSizeBits,
    f.contentSizeBits,
    f.timestampBegin,
    f.timestampEnd,
    f.eventsDiscarded,
    f.streamClassId,
  ];
  if (minor >= 8) numbers.push(f.streamInstanceId, f.packetSeqNum);
  return join(...numbers.map(u64));
}

export const sendIndex = (minor: number, stream: bigint, netSeqNum: bigint, facts: IndexFacts): Buffer =>
  request(codes.sendIndex, join(u64(stream), u64(netSeqNum), indexFields(minor, facts)));

/** Live beacon: until `timestampEnd` nothing happened. Source: relay-protocol, "Live beacon". */
export function beacon(minor: number, stream: bigint, lastNetSeqNum: bigint, timestampEnd: bigint): Buffer {
  const zero = { packetSizeBits: 0n, contentSizeBits: 0n, timestampBegin: 0n, eventsDiscarded: 0n };
  const rest = { streamClassId: 5n, streamInstanceId: 0n, packetSeqNum: 0n };
  return sendIndex(minor, stream, lastNetSeqNum, { ...zero, timestampEnd, ...rest });
}

/** CREATE_TRACE_CHUNK; `name` as a snapshot gives it, `afterS` seconds after the session was created. */
export function createTraceChunk(chunk: bigint, name?: string, afterS = 1): Buffer {
  const named = name === undefined ? u32(0) : join(u32(text(name).length), text(name));
  return request(codes.createTraceChunk, join(u64(chunk), u64(creationTimeS + BigInt(afterS)), named));
}

/** CLOSE_TRACE_CHUNK; `action` undefined: unset, as `lttng destroy` sends it. */
export function closeTraceChunk(chunk: bigint, action?: number, afterS = 9): Buffer {
  const command = join(u8(action === undefined ? 0 : 1), u32(action ?? 0));
  return request(codes.closeTraceChunk, join(u64(chunk), u64(creationTimeS + BigInt(afterS)), command));
}

export const traceChunkExists = (chunk: bigint): Buffer => request(codes.traceChunkExists, u64(chunk));

/** Bytes between the flag and the chunk id, by the producer's machine; real ones hold its memory. */
const rotatePadding = { 20: '000000dfb2b3f3', 16: 'dfb2b3', 13: '' } as const;

/** ROTATE_STREAMS in one of its three forms; `chunk` undefined: to none. */
export function rotateStreams(
  streams: ReadonlyArray<readonly [stream: bigint, atPacketSeqNum: bigint]>,
  chunk?: bigint,
  form: 20 | 16 | 13 = 20,
): Buffer {
  const head = join(u32(streams.length), u8(chunk === undefined ? 0 : 1));
  const padding = Buffer.from(rotatePadding[form], 'hex');
  const list = streams.map(([stream, at]) => join(u64(stream), u64(at)));
  return request(codes.rotateStreams, join(head, padding, u64(chunk ?? 0), ...list));
}

/** The head of a data frame; `content` follows it. Source: relay-protocol, "Data port". */
export function dataHeader(
  stream: bigint,
  netSeqNum: bigint,
  sizeBytes: number,
  paddingSizeBytes = 0,
): Buffer {
  return join(u64(0), u64(stream), u64(netSeqNum), u32(sizeBytes), u32(paddingSizeBytes));
}

export function dataFrame(stream: bigint, netSeqNum: bigint, content: Buffer, paddingSizeBytes = 0): Buffer {
  return join(dataHeader(stream, netSeqNum, content.length, paddingSizeBytes), content);
}

/** What an index file must hold. Source: relay-protocol, "Index file". */
export function indexFile(
  minor: number,
  records: ReadonlyArray<readonly [offset: number, facts: IndexFacts]>,
): Buffer {
  const [indexMinor, recordBytes] = minor < 8 ? [0, 56] : [1, 72];
  const head = join(u32(0xc1f1_dcc1), u32(1), u32(indexMinor), u32(recordBytes));
  return join(head, ...records.map(([offset, facts]) => join(u64(offset), indexFields(minor, facts))));
}

/** "No packet was sent": the last number of CLOSE_STREAM for metadata. */
export const noPacket = none;
