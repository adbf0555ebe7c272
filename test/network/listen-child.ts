/** An echo server that uses up its own file descriptors on demand: commands on stdin, words on stdout. */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { listen } from '../../lib/network/listen.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

toldChannel.subscribe((message) => {
  const { level, event, facts } = message as Told;
  console.log(`${event} ${level} ${facts.refused} ${facts.reason}`);
});

const taken: number[] = [];

/** Opens files until descriptor numbers reach `last`, or none is left. */
function exhaust(last: number): void {
  try {
    do taken.push(openSync('/dev/null', 'r'));
    while ((taken.at(-1) as number) < last);
  } catch {
    // none left: that is what was asked for
  }
}

const commands: Record<string, () => string> = {
  exhaust: () => {
    exhaust(50);
    return 'exhausted';
  },
  'exhaust all': () => {
    exhaust(Number.POSITIVE_INFINITY);
    return 'exhausted';
  },
  recover: () => {
    for (const fd of taken) closeSync(fd);
    return 'recovered';
  },
};

const { address } = await listen({ host: '127.0.0.1', port: 0 }, (socket) => {
  socket.pipe(socket).on('error', () => undefined);
});
createInterface(process.stdin).on('line', (line) => console.log(commands[line]?.()));
console.log(address.port);
