import { MillraceError } from '../../../errors.ts';
import { connectionTypes, millrace, newestViewerMinor } from '../../../wire/live/index.ts';
import type { ViewerHandler } from './handler.ts';

const major = 2;
const types: ReadonlySet<number> = new Set(Object.values(connectionTypes));

/**
 * The first request. We say our own minor, whatever the viewer's; both then use the smaller one. A second CONNECT is
 * answered as the first.
 */
export const connect: ViewerHandler<'connect'> = {
  handle(context, request) {
    if (request.major !== major) throw refused(`it speaks major version ${request.major}, not ${major}`);
    if (!types.has(request.connectionType))
      throw refused(`connection type ${request.connectionType} is unknown`);
    context.minor = Math.min(request.minor, newestViewerMinor);
    context.isConnected = true;
    context.isMillrace = request.viewerSessionId === millrace.viewerSessionId;
    const version = { major, minor: newestViewerMinor };
    if (context.isMillrace) {
      const { connectionType } = millrace;
      return { reply: { viewerSessionId: context.viewers.instance, ...version, connectionType } };
    }
    const isCommand = request.connectionType === connectionTypes.command;
    const viewerSessionId = isCommand ? context.viewers.nextViewerSession() : 0n;
    return { reply: { viewerSessionId, ...version, connectionType: 0 } };
  },
};

function refused(why: string): MillraceError {
  return new MillraceError('MR_ERR_VIEWER_CONNECT', { why });
}
