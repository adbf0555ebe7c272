/**
 * Runs a relay, plays a recorded conversation to it, and dies in front of a given change of the file system.
 * Arguments: output directory, recording, number of the change (0: none). Says on stdout how many there were.
 */
import { replay } from '../../../lib/capture/replayer.ts';
import { relayOptions } from '../../../lib/index.ts';
import { createRelay } from '../../../lib/relay/server.ts';
import { say } from './feed.ts';
import { changes, dieAt } from './mortal-fs.ts';

const [outputPath = '', path = '', killAt = ''] = process.argv.slice(2);
const relay = createRelay(relayOptions(outputPath, { keepFreeBytes: 0, syncIntervalMs: 200 }));
dieAt(Number(killAt));
await relay.start();
const { control, data } = relay.addresses;
await replay({ path, control, data });
await relay.close();
say(`changes ${changes()}`);
