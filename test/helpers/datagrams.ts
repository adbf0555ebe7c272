/** Receiving Unix datagrams, which Node cannot: a few lines of Python, another implementation than ours. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';

const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
while True:
    print(s.recv(4096).decode().replace('\\n', ' '), flush=True)
`;

/** Whether there is a Python to receive with. */
export const canReceive = spawnSync('python3', ['--version'], { stdio: 'ignore' }).status === 0;

/** Binds a socket at `address` (`@NAME`: without a file); each datagram is a line, its newlines are blanks. */
export async function receiveDatagrams(
  t: Pick<ExecutionContext, 'teardown'>,
  address: string,
): Promise<() => Promise<string>> {
  const child: ChildProcess = spawn('python3', ['-c', program, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const line = async () => String((await lines.next()).value);
  if ((await line()) !== 'bound') throw new Error(`cannot bind ${address}`);
  return line;
}
