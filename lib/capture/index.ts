/** The door of recording and replaying conversations; loaded when it is asked for. */
export { createLogFile, createLogStream, type LogWriter } from '../disk/log-writer.ts';
export type { ConnectionRole } from './conversation.ts';
export { type PlayOptions, type PlayReport, play } from './play.ts';
export { listenPortsOf, type Ports, portsOf, recordedPorts } from './ports.ts';
export { type RecordedPort, Recorder } from './recorder.ts';
export { contentOf } from './recording.ts';
export { type ReplayOptions, type ReplayReport, replay } from './replayer.ts';
