/** Relays that forward to others, over links that can be cut. */
import type { ForwardOptions, ForwardTarget } from '../../lib/relay/forward/options.ts';
import { Link } from './link.ts';
import type { TestRelay } from './relay.ts';

type Ends = Pick<ForwardTarget, 'control' | 'data'>;

/** Options of a relay that forwards to these. */
export function forwardTo(
  spoolPath: string,
  targets: readonly Ends[],
  given: Partial<ForwardOptions> = {},
): ForwardOptions {
  return {
    targets: targets.map(({ control, data }, at) => ({
      uri: `target ${at}`,
      control,
      data,
      retryMs: 10,
      longestRetryMs: 50,
      pendingIntervalMs: 5,
    })),
    spoolPath,
    spoolSizeBytes: 64 * 1024 * 1024,
    whenFull: 'push-back',
    noStore: false,
    ...given,
  };
}

/** Links for both ports of a relay. */
export async function linked(t: Parameters<typeof Link.open>[0], relay: TestRelay) {
  const control = await Link.open(t, () => relay.control);
  const data = await Link.open(t, () => relay.data);
  return { all: [control, data], ends: { control: control.address, data: data.address } };
}
