/** How requests are found on a control connection. Source: relay-protocol, "Control framing". */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Format, Header } from '../stage/framer.ts';
import { type CommandName, relayCommands, requestHeader, requestLayout } from '../wire/relay/index.ts';

/** A command that producers send. */
export interface SentCommand {
  readonly name: CommandName;
  readonly needs: 'nothing' | 'session' | 'chunks';
  readonly body: 'collect' | 'pass';
}

/** A request's header, decoded. */
export interface RequestHeader extends Header {
  /** undefined: a number that is no command, or one that was reserved and never used. */
  command: SentCommand | undefined;
  code: number;
}

const headerBytes = requestHeader.minSizeBytes;
/** No request of fixed parts and names is longer; what follows is accepted and ignored, as relays >= 2.11 do. */
const nameRequestBytes = 16 * 1024;
const rotateRequestBytes = 20 + 16 * limits.streamsPerSession;

/** The head of SEND_METADATA's payload, the same in every version; its text follows. */
export const metadataHead = requestLayout('sendMetadata', 1, Number.MAX_SAFE_INTEGER) as NonNullable<
  ReturnType<typeof requestLayout<'sendMetadata'>>
>;

/** The format of the control connection. Errors: MR_ERR_WIRE_LONG for a payload above the ceiling. */
export const controlFormat: Format<RequestHeader> = {
  what: 'request',
  headerBytes,
  header(bytes, at) {
    const { dataSizeBytes, command: code } = requestHeader.decode(bytes, at, at + headerBytes);
    const row = relayCommands.get(code);
    const command = row?.since === undefined ? undefined : row;
    const what = command?.name ?? `command ${code}`;
    if (dataSizeBytes > BigInt(limits.controlPayloadBytes))
      throw new MillraceError('MR_ERR_WIRE_LONG', {
        what,
        got: dataSizeBytes,
        expected: limits.controlPayloadBytes,
      });
    const bodyBytes = Number(dataSizeBytes);
    return { command, code, bodyBytes, collectBytes: Math.min(bodyBytes, wantedBytes(command)) };
  },
};

/** How much of a payload is wanted in one piece: all that means something, but for metadata's text. */
function wantedBytes(command: SentCommand | undefined): number {
  if (command === undefined) return 0;
  if (command.body === 'pass') return metadataHead.minSizeBytes;
  return command.name === 'rotateStreams' ? rotateRequestBytes : nameRequestBytes;
}
