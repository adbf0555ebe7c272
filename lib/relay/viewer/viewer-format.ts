/** How requests are found on a viewer's connection: the command alone says how long they are, as with lttng-relayd. */
import type { Format, Header } from '../../stage/framer.ts';
import {
  type ViewerCommand,
  viewerCommands,
  viewerHeader,
  viewerRequestLayout,
} from '../../wire/live/index.ts';

/** A request's header, decoded. */
export interface ViewerHeader extends Header {
  /** undefined: a number that is no command. */
  command: ViewerCommand | undefined;
  code: number;
}

const headerBytes = viewerHeader.minSizeBytes;

/** The format. Requests have the same layout in every minor. */
export const viewerFormat: Format<ViewerHeader> = {
  what: 'request',
  headerBytes,
  header(bytes, at) {
    const { command: code } = viewerHeader.decode(bytes, at, at + headerBytes);
    const command = viewerCommands.get(code);
    const bodyBytes = command === undefined ? 0 : viewerRequestLayout(command.name, 0).minSizeBytes;
    return { command, code, bodyBytes, collectBytes: bodyBytes };
  },
};
