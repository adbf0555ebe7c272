/**
 * What LTTng's own consumer daemon reaches: it is stopped (SIGSTOP) while a traced program fills its buffers, and goes on
 * with all of it waiting. So neither the program nor tracing is measured, only how fast a full session is brought to a
 * relay, which is what the network consumer does with a directory.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Scene } from '../interop/helpers/scene.ts';
import { now } from './measure.ts';

const packetSizeBytes = 65_536;
const textBytes = 4000;
/** The program may fill so much of the buffer of its processor; nothing is discarded then. */
const share = 0.9;
const lookEveryMs = 2;

/** Bytes of packets that the relay has stored, and how long it took from when the consumer daemon went on. */
export async function drain(
  kind: 'lttng-relayd' | 'millrace',
  mib: number,
): Promise<{ bytes: number; seconds: number }> {
  const leave: (() => unknown)[] = [];
  try {
    const scene = await Scene.open({ teardown: (fn) => leave.push(fn) }, kind);
    const packets = 2 ** Math.ceil(Math.log2((mib * 1_048_576) / packetSizeBytes));
    for (const command of [
      'create drained --set-url=net://127.0.0.1',
      `enable-channel -u big --subbuf-size=${packetSizeBytes} --num-subbuf=${packets}`,
      'enable-event -u -c big millrace:*',
      'start',
    ])
      await scene.lttng(command);
    const emitter = await scene.emitter();
    const daemons = scene.world.pidsOf('lttng-consumerd');
    for (const pid of daemons) process.kill(pid, 'SIGSTOP');
    await emitter.emit(Math.floor((packets * packetSizeBytes * share) / (textBytes + 150)), textBytes);
    const begin = now();
    for (const pid of daemons) process.kill(pid, 'SIGCONT');
    let stopped = false;
    const stopping = scene.lttng('stop').finally(() => {
      stopped = true;
    });
    let [bytes, ended] = [0, begin];
    while (!stopped) {
      const stored = storedBytes(scene.relay.outputPath);
      if (stored > bytes) [bytes, ended] = [stored, now()];
      await delay(lookEveryMs);
    }
    await stopping;
    await emitter.finish();
    await scene.lttng('destroy');
    return { bytes, seconds: ended - begin };
  } finally {
    for (const fn of leave.reverse()) await fn();
  }
}

function storedBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => /big_\d+$/.test(path))
    .reduce((sum, path) => sum + statSync(join(directory, path)).size, 0);
}
