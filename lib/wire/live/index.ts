/** The room's door: the live protocol between a viewer and a relay. */
export {
  encodeViewerRequest,
  viewerReplyBytes,
  viewerReplyLayout,
  viewerRequestLayout,
} from './codec.ts';
export {
  newestViewerMinor,
  type ViewerCommand,
  type ViewerCommandName,
  type ViewerReplyOf,
  type ViewerRequestOf,
  viewerCommands,
} from './commands.ts';
export { dumpViewerReply, dumpViewerRequest } from './dump.ts';
export { unknownCommand, viewerFlags, viewerHeader } from './headers.ts';
export { indexStatus, metadataStatus, packetStatus, seekStatus } from './packets.ts';
export { connectionTypes, createStatus, detachStatus, millrace, viewerTraceFormats } from './session.ts';
export { attachStatus, newStreamsStatus, seeks } from './streams.ts';
