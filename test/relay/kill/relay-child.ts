/**
 * Runs a relay, plays a recorded conversation to it, and dies in front of a given change of the file system.
 * Arguments: output directory, recording, number of the change (0: none). Says on stdout how many there were.
 */
import { replay } from '../../../lib/capture/replayer.ts';
import { createRelay, limits } from '../../../lib/index.ts';
import { say } from './feed.ts';
import { changes, dieAt } from './mortal-fs.ts';

const [outputPath = '', path = '', killAt = ''] = process.argv.slice(2);
const any = { host: '127.0.0.1', port: 0 };
const relay = createRelay({
  outputPath,
  groupOutputBy: 'host',
  control: any,
  data: any,
  live: any,
  disallowClear: false,
  keepFreeBytes: 0,
  keepAlive: { enabled: false, idleTimeS: 0, probeIntervalS: 0, maxProbeCount: 0 },
  socketTimeoutMs: 0,
  fdPoolSize: 1024,
  durability: 'none',
  syncIntervalMs: 200,
  limits,
});
dieAt(Number(killAt));
await relay.start();
const { control, data } = relay.addresses;
await replay({ path, control, data });
await relay.close();
say(`changes ${changes()}`);
