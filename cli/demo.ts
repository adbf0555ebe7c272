/**
 * `npm run demo`: starts a relay, replays a conversation that was recorded between the real producer and
 * lttng-relayd into it, over the network, and holds what it stored against what lttng-relayd had stored, byte for
 * byte. Needs no LTTng. Another recording's directory may be named as argument. Exit status 1 on any difference.
 */
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCapture, loadRelay, type ReplayReport, relayOptions, why } from '../lib/index.ts';

const [recording = fileURLToPath(new URL('../../fixtures/captures/ust-plain', import.meta.url))] =
  process.argv.slice(2);
// directories are named after local time, and the recorded ones were made in this zone
process.env.TZ = 'UTC';

function say(what: string, text: string): void {
  process.stdout.write(`${what.padEnd(10)} ${text}\n`);
}

/** Streams the recording into a relay that stores below `outputPath`. */
async function play(outputPath: string): Promise<ReplayReport> {
  const relay = (await loadRelay()).createRelay(relayOptions(outputPath));
  await relay.start();
  const { control, data } = relay.addresses;
  say('relay', `listens on ${control.host}, control port ${control.port}, data port ${data.port}`);
  try {
    const { replay } = await loadCapture();
    return await replay({ path: join(recording, 'conversation.mrlog'), control, data });
  } finally {
    await relay.close();
  }
}

function filesBelow(path: string): string[] {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => statSync(join(path, name)).isFile()).sort();
}

/** What is different below two directories, one line a file. */
function differences(path: string, oraclePath: string): string[] {
  const [here, there] = [filesBelow(path), filesBelow(oraclePath)];
  const both = here.filter((name) => there.includes(name));
  return [
    ...there.filter((name) => !both.includes(name)).map((name) => `${name} is missing`),
    ...here.filter((name) => !both.includes(name)).map((name) => `${name} should not be there`),
    ...both
      .filter((name) => !readFileSync(join(path, name)).equals(readFileSync(join(oraclePath, name))))
      .map((name) => `${name} differs`),
  ];
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function demo(): Promise<boolean> {
  const outputPath = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
  const provenance = JSON.parse(readFileSync(join(recording, 'provenance.json'), 'utf8')) as {
    what: string;
    producer: string;
    relay: string;
  };
  say('recording', `${basename(recording)}: ${provenance.what}`);
  say('', `${provenance.producer}, streaming into lttng-relayd ${provenance.relay}`);
  const report = await play(outputPath);
  const { connections, requests, replies, packets, dataBytes, elapsedMs } = report;
  say(
    'replayed',
    `${connections} connections, ${requests} requests, ${packets} packets, ${dataBytes} bytes of data`,
  );
  say('', `in ${Math.round(elapsedMs)} ms; all ${replies} answers were the recorded ones`);
  const wrong = differences(outputPath, join(recording, 'oracle'));
  for (const line of wrong) say('DIFFERENT', line);
  if (wrong.length === 0) {
    const sizes = filesBelow(outputPath).map((name) => statSync(join(outputPath, name)).size);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    say('verified', `${sizes.length} files, ${bytes} bytes: every one as lttng-relayd had stored it`);
  }
  say('trace', outputPath);
  if (isInstalled('babeltrace2')) say('read it', `babeltrace2 ${outputPath}`);
  return wrong.length === 0;
}

try {
  process.exitCode = (await demo()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${why(error)}\n`);
  process.exitCode = 1;
}
