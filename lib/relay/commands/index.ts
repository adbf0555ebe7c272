/** Every command's handler, by name; the table in `lib/wire/relay` says which there are. */
import type { CommandName } from '../../wire/relay/index.ts';
import { addStream } from './add-stream.ts';
import { closeStream } from './close-stream.ts';
import { createSession } from './create-session.ts';
import { beginDataPending, dataPending, endDataPending, quiescentControl } from './data-pending.ts';
import { forwardTo, lastStored, packetLost, resumeSession } from './forwarding.ts';
import { getConfiguration } from './get-configuration.ts';
import type { Handler } from './handler.ts';
import { resetMetadata } from './reset-metadata.ts';
import { sendIndex } from './send-index.ts';
import { startData } from './start-data.ts';
import { streamsSent } from './streams-sent.ts';
import { closeTraceChunk, createTraceChunk, rotateStreams, traceChunkExists } from './trace-chunk.ts';
import { udpOpen, udpSent } from './udp.ts';
import { version } from './version.ts';

/** Commands with a reply and a collected body; SEND_METADATA, whose text passes in parts, has its own file. */
export const handlers = {
  version,
  getConfiguration,
  createSession,
  addStream,
  streamsSent,
  resetMetadata,
  closeStream,
  sendIndex,
  beginDataPending,
  dataPending,
  quiescentControl,
  endDataPending,
  createTraceChunk,
  closeTraceChunk,
  traceChunkExists,
  rotateStreams,
  startData,
  udpOpen,
  udpSent,
  lastStored,
  packetLost,
  resumeSession,
  forwardTo,
} satisfies { [N in Exclude<CommandName, 'sendMetadata'>]: Handler<N, never> };
