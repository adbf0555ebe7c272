/**
 * A relay in a process of its own, which its parent has given few descriptors. Sends where it listens; answers
 * 'status' with its status, and 'close' by ending.
 */
import { relayOptions } from '../../lib/index.ts';
import { createRelay } from '../../lib/relay/server.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

process.env.TZ = 'UTC';
const [outputPath = '', fdPoolSize, durability = 'none'] = process.argv.slice(2);
const complaints: string[] = [];
toldChannel.subscribe((message) => {
  const { level, text } = message as Told;
  if (level === 'warn' || level === 'error') complaints.push(text);
});
const relay = createRelay(
  relayOptions(outputPath, {
    keepFreeBytes: 0,
    fdPoolSize: Number(fdPoolSize),
    durability: durability === 'sync' ? 'sync' : 'none',
    syncIntervalMs: 200,
  }),
);
await relay.start();
process.on('message', (message) => {
  if (message === 'close') void relay.close().then(() => process.disconnect());
  else process.send?.({ ...relay.status(), sessions: relay.status().sessions.length, complaints });
});
process.send?.(relay.addresses);
