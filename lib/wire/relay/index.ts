/** The room's door: the control and data protocol between an LTTng producer and a relay. */
export { closeCommands, rotateStream } from './chunk.ts';
export { encodeReply, encodeRequest, encodeReturn, replyLayout, requestLayout } from './codec.ts';
export {
  type CommandName,
  type RelayCommand,
  type ReplyOf,
  type RequestOf,
  relayCommands,
} from './commands.ts';
export {
  datagram,
  datagramHeaderBytes,
  privateFeatures,
  privateQuery,
  udpOverheadBytes,
} from './datagram.ts';
export { dumpReply, dumpRequest } from './dump.ts';
export { resumeStates } from './forwarding.ts';
export { dataHeader, none, requestHeader } from './headers.ts';
export { configurationFlags, traceFormats } from './session.ts';
