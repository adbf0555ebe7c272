import test from 'ava';
import {
  CommandLines,
  encodeAnswer,
  encodeCommand,
  parseAddress,
  parseAnswer,
  parsePort,
  statusLine,
} from '../../../lib/wire/flexnbd/index.ts';

function read(text: string): CommandLines['command'] {
  const lines = new CommandLines();
  for (const line of text.split('\n')) if (lines.take(line)) break;
  return lines.command;
}

test('a command is its name and a line an argument, up to an empty line', (t) => {
  t.deepEqual(read('status\n\n'), { name: 'status', args: [] });
  t.deepEqual(read('mirror\n127.0.0.1\n4777\nexit\n\n\n'), {
    name: 'mirror',
    args: ['127.0.0.1', '4777', 'exit'],
  });
  t.deepEqual(read('acl\n10.0.0.0/8\n::1\n\nafter the end\n'), { name: 'acl', args: ['10.0.0.0/8', '::1'] });
  t.is(read('\n'), undefined);
});

test('a command is written as flexnbd’s client writes it: absent arguments are empty lines', (t) => {
  t.is(
    encodeCommand('mirror', ['127.0.0.1', '4777', 'exit', undefined]),
    'mirror\n127.0.0.1\n4777\nexit\n\n\n',
  );
  t.is(encodeCommand('break', []), 'break\n\n');
});

test('an answer is a code and a text, nothing more (F.8)', (t) => {
  t.is(encodeAnswer({ code: 10, text: 'unknown command' }), '10: unknown command\n');
  t.deepEqual(parseAnswer('1: bad spec: x: y'), { code: 1, text: 'bad spec: x: y' });
  t.is(parseAnswer('HTTP/1.1 400 Bad Request'), undefined);
});

test('the status line has flexnbd’s keys in flexnbd’s order, a blank behind each', (t) => {
  const idle = {
    pid: 42,
    size: 1_048_576,
    is_mirroring: false,
    clients_allowed: true,
    num_clients: 3,
    has_control: true,
  };
  t.is(
    statusLine(idle),
    'pid=42 size=1048576 is_mirroring=false clients_allowed=true num_clients=3 has_control=true ',
  );
  t.is(
    statusLine({
      ...idle,
      migration_speed_limit: 5,
      migration_bytes_left: 4,
      migration_seconds_left: 3,
      migration_duration: 2,
      migration_speed: 1,
      is_mirroring: true,
    }),
    'pid=42 size=1048576 is_mirroring=true clients_allowed=true num_clients=3 has_control=true migration_speed=1 migration_duration=2 migration_seconds_left=3 migration_bytes_left=4 migration_speed_limit=5 ',
  );
});

test('addresses are numeric; 0 is every IPv4 address; brackets and what follows are ignored', (t) => {
  t.is(parseAddress('127.0.0.1'), '127.0.0.1');
  t.is(parseAddress('0'), '0.0.0.0');
  t.is(parseAddress('[::1]'), '::1');
  t.is(parseAddress('fe80::1%eth0'), 'fe80::1');
  for (const bad of ['', 'localhost', '1.2.3', '1.2.3.4.5']) t.is(parseAddress(bad), undefined, bad);
  t.is(parsePort('0'), 0);
  t.is(parsePort('65535'), 65_535);
  for (const bad of ['65536', '-1', '', '12x', '1e3']) t.is(parsePort(bad), undefined, bad);
});
