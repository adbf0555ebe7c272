/**
 * A relay in a process of its own, which its parent has given few descriptors. Sends where it listens; answers
 * 'status' with its status, and 'close' by ending.
 */
import { createRelay, limits } from '../../lib/index.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

process.env.TZ = 'UTC';
const [outputPath = '', fdPoolSize, durability = 'none'] = process.argv.slice(2);
const anyPort = { host: '127.0.0.1', port: 0 };
const complaints: string[] = [];
toldChannel.subscribe((message) => {
  const { level, text } = message as Told;
  if (level === 'warn' || level === 'error') complaints.push(text);
});
const relay = createRelay({
  outputPath,
  groupOutputBy: 'host',
  control: anyPort,
  data: anyPort,
  live: anyPort,
  disallowClear: false,
  keepFreeBytes: 0,
  keepAlive: { enabled: false, idleTimeS: 0, probeIntervalS: 0, maxProbeCount: 0 },
  socketTimeoutMs: 0,
  fdPoolSize: Number(fdPoolSize),
  durability: durability === 'sync' ? 'sync' : 'none',
  syncIntervalMs: 200,
  limits,
});
await relay.start();
process.on('message', (message) => {
  if (message === 'close') void relay.close().then(() => process.disconnect());
  else process.send?.({ ...relay.status(), sessions: relay.status().sessions.length, complaints });
});
process.send?.(relay.addresses);
