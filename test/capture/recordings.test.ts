import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { replay } from '../../lib/capture/replayer.ts';
import { relayOptions } from '../../lib/relay/defaults.ts';
import { createRelay } from '../../lib/relay/server.ts';

process.env.TZ = 'UTC'; // trace chunks are named by local time, and these were recorded in UTC

const folder = fileURLToPath(new URL('../../../fixtures/captures', import.meta.url));

/** Nothing below a directory that is not there: git keeps no empty ones, and a session may leave nothing else. */
function filesBelow(path: string): Map<string, string> {
  if (!existsSync(path)) return new Map();
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(path, name)).isFile(),
  );
  return new Map(files.sort().map((name) => [name, readFileSync(join(path, name), 'hex')]));
}

for (const entry of readdirSync(folder, { withFileTypes: true })) {
  if (!entry.isDirectory()) continue;
  const recording = join(folder, entry.name);

  test(`replay of ${entry.name}: our relay answers as lttng-relayd did and stores what it stored`, async (t) => {
    const outputPath = mkdtempSync(join(tmpdir(), 'millrace-recordings-'));
    t.teardown(() => rmSync(outputPath, { recursive: true }));
    const relay = createRelay(relayOptions(outputPath));
    await relay.start();
    t.teardown(() => relay.destroy());
    const { control, data } = relay.addresses;
    await replay({ path: join(recording, 'conversation.mrlog'), control, data });
    await relay.close();
    t.deepEqual(filesBelow(outputPath), filesBelow(join(recording, 'oracle')));
  });
}
