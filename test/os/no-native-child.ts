/** A process that must do without koffi: asks for locks twice and reports what it got and what was told. */
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

const told: string[] = [];
toldChannel.subscribe((message) => {
  const { level, event } = message as Told;
  told.push(`${level} ${event}`);
});
const locks = [openRangeLocks(), openRangeLocks()].map(String).join(',');
process.send?.({ locks, told }, () => process.exit());
