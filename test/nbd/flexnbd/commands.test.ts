import test from 'ava';
import { type Controlled, type MirrorRequest, runCommand } from '../../../lib/nbd/flexnbd/commands.ts';

interface Said {
  mirrors: MirrorRequest[];
  limits: number[];
  lists: Array<readonly string[]>;
}

function controlled(changes: Partial<Controlled> = {}): Controlled & Said {
  const said: Said = { mirrors: [], limits: [], lists: [] };
  return {
    ...said,
    status: () => ({
      pid: 1,
      size: 512,
      is_mirroring: false,
      clients_allowed: true,
      num_clients: 0,
      has_control: true,
    }),
    setAcl(entries) {
      const bad = entries.find((entry) => entry === 'x');
      if (bad !== undefined) throw new Error(`bad spec: ${bad}`);
      said.lists.push(entries);
    },
    mirror: async (request) => void said.mirrors.push(request),
    breakMirror: async () => 'stopped',
    limitMirror: (bytesPerSecond) => said.limits.push(bytesPerSecond) > 0,
    ...changes,
  };
}

async function say(to: Controlled, ...[name, ...args]: string[]): Promise<string> {
  const command = name === undefined ? undefined : { name, args };
  const { code, text } = await runCommand(to, command);
  return `${code}: ${text}`;
}

test('every command answers in flexnbd’s words', async (t) => {
  const server = controlled();
  t.is(
    await say(server, 'status'),
    '0: pid=1 size=512 is_mirroring=false clients_allowed=true num_clients=0 has_control=true ',
  );
  t.is(await say(server, 'acl', '127.0.0.1', '::1/128'), '0: updated');
  t.is(await say(server, 'acl', '127.0.0.1', 'x'), '1: bad spec: x');
  t.deepEqual(server.lists, [['127.0.0.1', '::1/128']]);
  t.is(await say(server, 'break'), '0: mirror stopped');
  t.is(await say(controlled({ breakMirror: async () => 'completed' }), 'break'), '1: mirror completed');
  t.is(await say(controlled({ breakMirror: async () => 'not mirroring' }), 'break'), '1: not mirroring');
  t.is(await say(server, 'mirror_max_bps', '1000'), '0: updated');
  t.is(
    await say(controlled({ limitMirror: () => false }), 'mirror_max_bps', '1'),
    '1: Not currently mirroring',
  );
  t.is(await say(server, 'mirror_max_bps', '1k'), '1: Bad format');
  t.is(await say(server, 'mirror_max_bps'), '1: Bad format');
  t.is(await say(server, 'mirror_max_bps', '9'.repeat(30)), '1: max_bps out of range');
  t.is(await say(server), '9: missing command');
  t.is(await say(server, 'entrust'), '10: unknown command');
  t.is(await say(server, 'constructor'), '10: unknown command');
});

const mirrors: ReadonlyArray<readonly [args: readonly string[], answer: string]> = [
  [[], '1: mirror takes at least two parameters'],
  [['127.0.0.1'], '1: mirror takes at least two parameters'],
  [['localhost', '1'], '1: bad IP address'],
  [['127.0.0.1', 'x'], '1: bad IP port number'],
  [['127.0.0.1', '65536'], '1: bad IP port number'],
  [['127.0.0.1', '1', 'go'], "1: action must be 'exit' or 'nothing'"],
  [['127.0.0.1', '1', 'exit', 'here'], '1: bad bind address'],
  [['127.0.0.1', '1', 'exit', '', 'fast'], "1: max_bps couldn't be parsed"],
  [['127.0.0.1', '1', 'exit', '', '9'.repeat(30)], '1: max_bps out of range'],
  [['127.0.0.1', '1', 'exit', '', '1', 'x'], '1: unrecognised parameters to mirror'],
];

for (const [args, answer] of mirrors)
  test(`mirror ${args.join(' ')}: ${answer}`, async (t) => {
    const server = controlled();
    t.is(await say(server, 'mirror', ...args), answer);
    t.deepEqual(server.mirrors, []);
  });

test('absent arguments of mirror are legal, at the end and as empty lines (L12)', async (t) => {
  const server = controlled();
  const full = ['0', '4777', 'unlink', '[::1]', '5000'];
  for (const args of [full.slice(0, 2), [...full.slice(0, 2), '', '', ''], full])
    t.is(await say(server, 'mirror', ...args), '0: Mirror started');
  const least = { host: '0.0.0.0', port: 4777, action: 'exit' as const };
  t.deepEqual(server.mirrors, [
    least,
    least,
    { ...least, action: 'unlink', bindHost: '::1', maxBytesPerSecond: 5000 },
  ]);
});

test('why a mirror did not start is the answer, on one line', async (t) => {
  const server = controlled({
    mirror: () => Promise.reject(new Error('Remote size does not match local size')),
  });
  t.is(await say(server, 'mirror', '127.0.0.1', '1'), '1: Remote size does not match local size');
  const odd = controlled({ mirror: () => Promise.reject(new Error('two\nlines')) });
  t.is(await say(odd, 'mirror', '127.0.0.1', '1'), '1: two lines');
});
