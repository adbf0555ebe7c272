/** The private commands for packets that come as datagrams. */
import { MillraceError, relayRet } from '../../errors.ts';
import type { RelayState } from '../state.ts';
import type { UdpReceiver } from '../udp/receiver.ts';
import type { Handler } from './handler.ts';

/** The session's packets will come as datagrams. */
export const udpOpen: Handler<'udpOpen'> = {
  handle({ relay, session }) {
    const receiver = receiverOf(relay, 'udpOpen');
    const { token } = receiver.open(session);
    const { address, bufferBytes } = receiver;
    return { ret: relayRet.ok, port: address.port, bufferBytes, token };
  },
  refuse: ({ ret }) => ({ ret: ret ?? relayRet.unknown, port: 0, bufferBytes: 0, token: 0n }),
};

/** How far was sent: what of it is missing is lost after a while. */
export const udpSent: Handler<'udpSent'> = {
  handle({ relay, session }, { datagrams, streams }) {
    const flow = receiverOf(relay, 'udpSent').flowOf(session);
    flow.sent(datagrams, streams);
    return { ret: relayRet.ok, received: flow.received, lostPackets: BigInt(flow.lostPackets) };
  },
  refuse: ({ ret }) => ({ ret: ret ?? relayRet.unknown, received: 0n, lostPackets: 0n }),
};

function receiverOf({ udp }: RelayState, command: string): UdpReceiver {
  if (udp !== undefined) return udp;
  throw new MillraceError('MR_ERR_RELAY_STATE', { command, expected: 'a relay that takes datagrams' });
}
