import { relayRet } from '../../errors.ts';
import { configurationFlags } from '../../wire/relay/index.ts';
import type { CommandContext, Handler } from './handler.ts';

/** Asks what the relay allows. Works before VERSION. */
export const getConfiguration: Handler<'getConfiguration', CommandContext> = {
  handle({ relay }, { queryFlags }) {
    if (queryFlags !== 0n) return { ret: relayRet.invalidProtocol, flags: 0n };
    return { ret: relayRet.ok, flags: relay.options.disallowClear ? 0n : configurationFlags.clearAllowed };
  },
};
