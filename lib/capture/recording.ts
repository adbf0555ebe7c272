/** Reads a recorded conversation, segment after segment. */
import { open } from 'node:fs/promises';
import type { LogRecord } from '../disk/log-parser.ts';
import { readLogFile } from '../disk/log-reader.ts';
import { findSegments } from '../disk/log-segments.ts';
import { MillraceError, why } from '../errors.ts';
import { tell } from '../telemetry.ts';
import { decodeSegmentHeader, type LogContent, segmentHeaderBytes } from '../wire/frame-log.ts';
import { decodeUtterance, type Utterance } from './conversation.ts';

/** What a log is for. Throws MR_ERR_LOG_RECORD, MR_ERR_LOG_VERSION, MR_ERR_DISK_READ. */
export async function contentOf(path: string): Promise<LogContent> {
  const [first] = await findSegments(path);
  const name = first?.path ?? path;
  const file = await open(name).catch((error: unknown) => {
    throw new MillraceError('MR_ERR_DISK_READ', { path: name, why: why(error) }, { cause: error });
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(segmentHeaderBytes), 0, segmentHeaderBytes);
    if (bytesRead < segmentHeaderBytes) throw failure(name, 0, 'it ended before it began');
    return decodeSegmentHeader(buffer, name).content;
  } finally {
    await file.close();
  }
}

/** What was said, and when: nanoseconds since 1970. */
export interface Said {
  timeNs: bigint;
  said: Utterance;
}

/**
 * The utterances of a recording in order; a torn tail is told (`capture:torn`). Bytes are read only. Throws
 * MR_ERR_LOG_RECORD (also for a log of anything else, and one whose beginning is gone), MR_ERR_LOG_VERSION,
 * MR_ERR_DISK_READ, MR_ERR_WIRE_*.
 */
export async function* readRecording(path: string): AsyncGenerator<Said, void> {
  const found = await findSegments(path);
  const segments = found.length === 0 ? [{ segment: 0, path }] : found;
  for (const [at, segment] of segments.entries()) {
    if (segment.segment !== at)
      throw failure(path, 0, `segment ${at} is missing; a conversation begins at its beginning`);
    const reader = await readLogFile(segment.path);
    for await (const record of reader as AsyncIterable<LogRecord>) {
      const { content = 'conversation' } = reader.header ?? {};
      if (content !== 'conversation')
        throw failure(segment.path, 0, `it holds no conversation, but ${content}`);
      const said = decodeUtterance(record);
      if (said !== undefined) yield { timeNs: record.timeNs, said };
    }
    const { ending } = reader;
    if (ending?.outcome !== 'torn') continue;
    if (at < segments.length - 1 || reader.header === undefined)
      throw failure(segment.path, ending.offset, ending.why);
    tell('warn', 'capture:torn', `${segment.path} ends in the middle of a record`, { path: segment.path });
  }
}

function failure(path: string, offset: number, why: string): MillraceError {
  return new MillraceError('MR_ERR_LOG_RECORD', { path, offset, why });
}
