import test from 'ava';
import { parseListenUrl, resolveListenUrl } from '../../../cli/relay/listen-url.ts';

// What lttng-relayd 2.13.9 takes and refuses was observed on the command line of the installed program.

const taken: ReadonlyArray<[url: string, family: 4 | 6, host: string, port: number]> = [
  ['tcp://127.0.0.1', 4, '127.0.0.1', 5342],
  ['tcp://127.0.0.1:', 4, '127.0.0.1', 5342],
  ['TCP://127.0.0.1:6000', 4, '127.0.0.1', 6000],
  ['tcp4://localhost:6000', 4, 'localhost', 6000],
  ['net://127.0.0.1:6000', 4, '127.0.0.1', 6000],
  ['tcp://127.0.0.1:6000/ignored', 4, '127.0.0.1', 6000],
  ['tcp6://[::1]:6000', 6, '::1', 6000],
  ['tcp6://[::1]', 6, '::1', 5342],
  ['tcp6://localhost', 6, 'localhost', 5342],
  ['tcp://0.0.0.0:0', 4, '0.0.0.0', 0],
  ['tcp://0.0.0.0:65535', 4, '0.0.0.0', 65535],
];

const refused: ReadonlyArray<[url: string, why: RegExp]> = [
  ['', /unknown protocol.*character 1\)/],
  ['udp://127.0.0.1:6000', /unknown protocol.*character 1\)/],
  ['file:///tmp', /unknown protocol/],
  ['127.0.0.1:6000', /unknown protocol/],
  ['constructor://h', /unknown protocol/],
  ['tcp://', /no host.*character 7\)/],
  ['tcp://:6000', /no host.*character 7\)/],
  ['tcp://127.0.0.1:70000', /70000 is larger than 65535.*character 17\)/],
  ['tcp://127.0.0.1:6000:6001', /"6000:6001" is no port number.*character 17\)/],
  ['tcp://127.0.0.1:12ab', /"12ab" is no port number/],
  ['tcp://127.0.0.1:-1', /"-1" is no port number/],
  ['tcp6://::1:6000', /in brackets.*character 8\)/],
  ['tcp6://[::1', /not closed/],
  ['tcp6://[nonsense]:1', /"nonsense" is no IPv6 address.*character 9\)/],
  ['tcp6://[::1]6000', /unexpected "6000".*character 13\)/],
  ['tcp://[::1]:6000', /write tcp6:/],
  ['tcp6://127.0.0.1:6000', /write tcp:/],
];

for (const [url, family, host, port] of taken)
  test(`listens where ${url} says`, (t) => {
    t.deepEqual(parseListenUrl(url, 5342), { family, host, port });
  });

for (const [url, message] of refused)
  test(`refuses "${url}" with reason and position`, (t) => {
    t.throws(() => parseListenUrl(url, 5342), { code: 'MR_ERR_NETWORK_URI', message });
  });

test('localhost is one address of the family asked for', async (t) => {
  t.deepEqual(await resolveListenUrl({ family: 4, host: 'localhost', port: 1 }), {
    host: '127.0.0.1',
    port: 1,
  });
  t.deepEqual(await resolveListenUrl({ family: 6, host: 'localhost', port: 1 }), { host: '::1', port: 1 });
});

test('a name without address is refused', async (t) => {
  await t.throwsAsync(resolveListenUrl({ family: 4, host: 'no.such.host.invalid', port: 1 }), {
    code: 'MR_ERR_USAGE',
    message: /no IPv4 address/,
  });
});
