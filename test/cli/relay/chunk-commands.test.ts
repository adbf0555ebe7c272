import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ChunkCommands } from '../../../cli/relay/chunk-commands.ts';
import { type Told, toldChannel } from '../../../lib/telemetry.ts';
import { pattern } from '../../helpers/bytes.ts';
import { Producer } from '../../helpers/producer.ts';
import { until } from '../../helpers/relay.ts';
import { RelayProcess } from '../../helpers/relay-process.ts';
import * as r from '../../helpers/requests.ts';
import { temporary } from '../fake-context.ts';

const { PATH } = process.env;

/** Commands for chunks below a directory of their own, and what is told of them. */
function commands(t: ExecutionContext, command: string) {
  const directory = temporary(t);
  const told: string[] = [];
  const listener = (message: unknown) => {
    const { level, text, facts } = message as Told;
    if (String(facts.path).startsWith(directory)) told.push(`${level} ${text.replaceAll(directory, 'DIR')}`);
  };
  toldChannel.subscribe(listener);
  t.teardown(() => toldChannel.unsubscribe(listener));
  const chunk = (id: bigint) => ({
    path: join(directory, `chunk-${id}`),
    hostname: 'vm',
    sessionName: 's 1; "$(rm x)"',
    id,
  });
  return { runner: new ChunkCommands(command, { PATH, DIR: directory }), chunk, directory, told };
}

test('a command finds the chunk in its environment, and its words and end go to the log', async (t) => {
  const words = 'echo "$MILLRACE_CHUNK_PATH|$MILLRACE_CHUNK_ID|$MILLRACE_SESSION|$MILLRACE_HOSTNAME"';
  const { runner, chunk, told } = commands(t, `${words}; echo oops >&2; exit 3`);
  runner.run(chunk(7n));
  await runner.idle();
  t.deepEqual(told.toSorted(), [
    'info DIR/chunk-7|7|s 1; "$(rm x)"|vm',
    'info oops',
    'warn DIR/chunk-7: the command has ended: status 3',
  ]);
});

test('what speaks for the relay is not in its environment', async (t) => {
  const { directory, chunk } = commands(t, '');
  const runner = new ChunkCommands('env > "$DIR/env"', {
    PATH,
    DIR: directory,
    NOTIFY_SOCKET: '/x',
    MILLRACE_READY_FD: '3',
  });
  runner.run(chunk(0n));
  await runner.idle();
  const names = readFileSync(join(directory, 'env'), 'utf8').replace(/=.*$/gm, '').split('\n');
  t.true(names.includes('MILLRACE_CHUNK_PATH'));
  t.false(names.some((name) => name === 'NOTIFY_SOCKET' || name === 'MILLRACE_READY_FD'));
});

/** Notes that it runs, and runs until `go` is there. */
const untilGo = 'touch "$DIR/ran-$MILLRACE_CHUNK_ID"; until [ -e "$DIR/go" ]; do sleep 0.01; done';

test('four run at a time, the others after them, each once', async (t) => {
  const { runner, chunk, directory, told } = commands(t, untilGo);
  for (let id = 0n; id < 9n; id += 1n) runner.run(chunk(id));
  const ran = () => readdirSync(directory).filter((name) => name.startsWith('ran-'));
  await until(
    () => ran().length === 4,
    () => ran().join(),
  );
  writeFileSync(join(directory, 'go'), '');
  await runner.idle();
  t.is(ran().length, 9);
  t.is(told.filter((line) => line.endsWith('status 0')).length, 9);
});

test('those that are stopped get SIGTERM with all their children, those that wait are told of and not run', async (t) => {
  const { runner, chunk, directory, told } = commands(t, `${untilGo} & wait`);
  for (let id = 0n; id < 5n; id += 1n) runner.run(chunk(id));
  await until(
    () => readdirSync(directory).length === 4,
    () => readdirSync(directory).join(),
  );
  runner.stop();
  // The output of a child that went on would keep the command from its end.
  await runner.idle();
  t.deepEqual(
    told.filter((line) => line.includes('chunk-4')),
    ['error DIR/chunk-4: the command was not run: the relay has ended'],
  );
  t.is(told.filter((line) => line.endsWith('the command is cut: the relay has ended')).length, 4);
  t.is(told.filter((line) => line.endsWith('the command has ended: SIGTERM')).length, 4);
  t.false(existsSync(join(directory, 'ran-4')));
});

test('a line without end neither fills the memory nor stops the command', async (t) => {
  const { runner, chunk, told } = commands(t, 'head -c 1000000 /dev/zero; echo; echo later');
  runner.run(chunk(0n));
  await runner.idle();
  t.is(told.length, 2, told.join('\n'));
  t.regex(told[0] ?? '', /^warn DIR\/chunk-0: the rest of the output is not shown: /);
  t.is(told[1], 'info DIR/chunk-0: the command has ended: status 0');
});

test('the program runs it for chunks as they are archived, and waits for the last ones at its end', async (t) => {
  const directory = temporary(t);
  const outputPath = join(directory, 'out');
  mkdirSync(outputPath);
  const command = `sleep 0.2; ls "$MILLRACE_CHUNK_PATH" > ${directory}/$MILLRACE_SESSION-$MILLRACE_CHUNK_ID`;
  const relay = await RelayProcess.start(t, { outputPath, args: ['--on-chunk', command] });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.ok(r.createTraceChunk(1n, undefined, 10));
  await producer.ok(r.rotateStreams([[stream, 1n]], 1n));
  const reply = await producer.control.ask(r.closeTraceChunk(0n, 0, 11), 8);
  await producer.control.read(reply.readUInt32BE(4));
  const { text } = await relay.told(
    ({ event, text: words }) => event === 'cli:on-chunk' && / ended/.test(words),
  );
  t.regex(text, /archives\/\S+-0: the command has ended: status 0$/);
  t.is(readFileSync(join(directory, 's1-0'), 'utf8'), 'ust\n');
  relay.kill('SIGTERM');
  t.is((await relay.ended).code, 0);
  t.is(readFileSync(join(directory, 's1-1'), 'utf8'), 'ust\n');
});

test('a second signal ends the commands too', async (t) => {
  const directory = temporary(t);
  const command = `echo $$ > ${directory}/pid; sleep 1000`;
  const relay = await RelayProcess.start(t, {
    outputPath: join(directory, 'out'),
    args: ['--on-chunk', command],
  });
  const producer = await Producer.open(t, relay);
  await producer.addStream('c_0');
  relay.kill('SIGTERM');
  await relay.told(({ event }) => event === 'relay:closed');
  const path = join(directory, 'pid');
  await until(
    () => existsSync(path) && readFileSync(path, 'utf8') !== '',
    () => 'the command does not run',
  );
  relay.kill('SIGTERM');
  t.is((await relay.ended).code, 143);
  const pid = Number(readFileSync(path, 'utf8'));
  await until(
    () => !existsSync(`/proc/${pid}/cmdline`) || readFileSync(`/proc/${pid}/cmdline`).length === 0,
    () => 'the command goes on',
  );
  t.true(relay.lines.some(({ text }) => text.endsWith('the command is cut: the relay has ended')));
});
