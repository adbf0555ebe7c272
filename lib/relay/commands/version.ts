import { MillraceError } from '../../errors.ts';
import type { CommandContext, Handler } from './handler.ts';

/** The protocol this relay speaks. Source: relay-protocol, "Versions". */
export const relayMajor = 2;
export const relayMinor = 15;

/**
 * The reply is always our own version, whatever was asked; both sides then use the smaller minor. A producer of
 * another major version gets the reply too, and is closed.
 */
export const version: Handler<'version', CommandContext> = {
  handle(context, { major, minor }) {
    if (major !== relayMajor)
      throw new MillraceError('MR_ERR_RELAY_VERSION', { got: major, expected: relayMajor });
    context.minor = Math.min(minor, relayMinor);
    return { major: relayMajor, minor: relayMinor };
  },
  refuse: ({ code }) =>
    code === 'MR_ERR_RELAY_VERSION' ? { major: relayMajor, minor: relayMinor } : undefined,
};
