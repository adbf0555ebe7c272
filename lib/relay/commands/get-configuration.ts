import { relayRet } from '../../errors.ts';
import { configurationFlags, privateFeatures, privateQuery } from '../../wire/relay/index.ts';
import type { CommandContext, Handler } from './handler.ts';

/** Asks what the relay allows. Works before VERSION. */
export const getConfiguration: Handler<'getConfiguration', CommandContext> = {
  handle({ relay }, { queryFlags }) {
    if (queryFlags !== 0n && queryFlags !== privateQuery) return { ret: relayRet.invalidProtocol, flags: 0n };
    let flags = relay.options.disallowClear ? 0n : configurationFlags.clearAllowed;
    if (queryFlags === privateQuery) {
      flags |= privateFeatures.forwarding;
      if (relay.udp !== undefined) flags |= privateFeatures.udp;
      if (relay.options.allowHops === true) flags |= privateFeatures.hops;
    }
    return { ret: relayRet.ok, flags };
  },
};
