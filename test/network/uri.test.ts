import test from 'ava';
import { parseHops, relayTarget } from '../../lib/network/relay-target.ts';
import { parseLiveUri, parseUri, type Uri } from '../../lib/network/uri.ts';

// What `lttng create` 2.13.9 takes and refuses was measured; live URLs: babeltrace2 2.0.4; NBD: the URI standard.

const net = { kind: 'relay', family: 4, host: 'h', controlPort: 5342, dataPort: 5343, path: '' };
const tcp = { kind: 'endpoint', transport: 'tcp', family: 4, host: 'h', port: undefined, path: '' };
const liveUri = { kind: 'live', family: undefined, host: 'h', port: 5344, target: undefined };
const disk = {
  kind: 'nbd',
  tls: false,
  address: { host: 'h', port: 10809 },
  exportName: '',
  user: undefined,
  parameters: new Map(),
};

const taken: Record<string, object> = {
  'net://h': net,
  'NET://h': net,
  'net4://h': net,
  'net://h/': net,
  'net://h:': net,
  'net://h:5555': { ...net, controlPort: 5555 },
  'net://h::5678': { ...net, dataPort: 5678 },
  'net://h:5343:5342': { ...net, controlPort: 5343, dataPort: 5342 },
  'net://h:1:65535/a/b': { ...net, controlPort: 1, dataPort: 65535, path: 'a/b' },
  'net://10.0.0.7/a//b/': { ...net, host: '10.0.0.7', path: 'a//b/' },
  'net6://[::1]//sub//dir/': { ...net, family: 6, host: '::1', path: '/sub//dir/' },
  'net6://h': { ...net, family: 6 },
  'net6://[fe80::1%eth0]:7:8': { ...net, family: 6, host: 'fe80::1%eth0', controlPort: 7, dataPort: 8 },
  'net://h/a..b/...': { ...net, path: 'a..b/...' },
  'tcp://h': tcp,
  'tcp4://h:99/p': { ...tcp, port: 99, path: 'p' },
  'tcp6://[::1]:99': { ...tcp, family: 6, host: '::1', port: 99 },
  'udp://h:99': { ...tcp, transport: 'udp', port: 99 },
  'udp6://[::1]': { ...tcp, transport: 'udp', family: 6, host: '::1' },
  'file:///a/b c': { kind: 'path', path: '/a/b c' },
  'FILE:///a': { kind: 'path', path: '/a' },
  '/a/b': { kind: 'path', path: '/a/b' },
  'a/b': { kind: 'path', path: 'a/b' },
  word: { kind: 'path', path: 'word' },
  'host:5342': { kind: 'path', path: 'host:5342' },
  './net://h': { kind: 'path', path: './net://h' },
  '-': { kind: 'stdio' },
  'capture:a.mrlog': { kind: 'capture', path: 'a.mrlog' },
  'capture:/a/b:c': { kind: 'capture', path: '/a/b:c' },
  'live://h': liveUri,
  'live://[::1]:99/host/vm/auto-1 2': {
    ...liveUri,
    host: '::1',
    port: 99,
    target: { hostname: 'vm', sessionName: 'auto-1 2' },
  },
  'nbd://h': disk,
  'nbd://h/': disk,
  'nbd://h?': disk,
  'nbd://h:99/a%2Fb?tls-type=1&x=%20': {
    ...disk,
    address: { host: 'h', port: 99 },
    exportName: 'a/b',
    parameters: new Map([
      ['tls-type', '1'],
      ['x', ' '],
    ]),
  },
  'nbds://me@[::1]/e': {
    ...disk,
    tls: true,
    user: 'me',
    address: { host: '::1', port: 10809 },
    exportName: 'e',
  },
  'nbd+unix:///e/f?socket=/run/n%20b': { ...disk, address: { path: '/run/n b' }, exportName: 'e/f' },
  'nbds+unix://?socket=n': { ...disk, tls: true, address: { path: 'n' } },
};

for (const [text, uri] of Object.entries(taken))
  test(`${text} is understood`, (t) => {
    t.deepEqual(parseUri(text), { ...uri, text } as Uri);
  });

const refused: Record<string, [why: RegExp, position: number]> = {
  '': [/missing/, 1],
  'http://h': [/unknown protocol.*net:\/\/.*\.\/http:/, 1],
  'constructor://h': [/unknown protocol/, 1],
  'net://': [/no host name/, 7],
  'net://:1': [/no host name/, 7],
  'net://h_ü?': [/"\?" stands in no host name/, 10],
  'net://u@h': [/"@"/, 8],
  'net://h:0': [/port 0/, 9],
  'net://h:65536': [/larger than 65535/, 9],
  'net://h:12ab': [/"12ab" is no port/, 9],
  'net://h:-1': [/"-1" is no port/, 9],
  'net://h:1:2:3': [/"2:3" is no port/, 11],
  'net://h:5343': [/same port 5343/, 8],
  'net://h:7:7': [/same port 7/, 8],
  'net://[::1]': [/write net6:\/\/\[::1\]/, 7],
  'net://::1': [/in brackets/, 7],
  'net6://10.0.0.7': [/write net:\/\/10/, 8],
  'net6://[::1': [/not closed/, 8],
  'net6://[::1]x': [/unexpected "x"/, 13],
  'net6://[x]': [/"x" is no IPv6/, 9],
  'net://h/../a': [/upwards/, 9],
  'net://h/a/..': [/upwards/, 11],
  'tcp://h:1:2': [/"1:2" is no port/, 9],
  'file://a': [/absolute/, 8],
  'file://': [/missing/, 8],
  'capture:': [/missing/, 9],
  'live://h/': [/expected \/host/, 9],
  'live://h/a/b': [/expected \/host/, 9],
  'live://h/host/': [/traced host is missing/, 15],
  'live://h/host/v': [/session is missing/, 16],
  'live://h/host/v/': [/session is missing/, 17],
  'live://h/host/v/s/t': [/unexpected "\/"/, 18],
  'nbd://h/%zz': [/no encoded character/, 9],
  'nbd://h?x': [/"x" is no NAME=VALUE/, 9],
  'nbd+unix:///e': [/socket=PATH is missing/, 14],
  'nbd+unix://h/e?socket=x': [/no host stands here/, 12],
  'a\0b': [/NUL/, 2],
  [`net://h/${'p'.repeat(4096)}`]: [/4096 bytes/, 9],
};

for (const [text, [message, position]] of Object.entries(refused))
  test(`${JSON.stringify(text.slice(0, 40))} is refused with reason and position`, (t) => {
    const error = t.throws(() => parseUri(text), { code: 'MR_ERR_NETWORK_URI', message }) as unknown as {
      facts: object;
    };
    t.like(error.facts, { position });
  });

test('whoever listens may leave the ports to the system', (t) => {
  t.like(parseUri('net://h:0:0', { listen: true }), { controlPort: 0, dataPort: 0 });
  t.like(parseUri('tcp6://[::1]:0', { listen: true }), { port: 0 });
});

test("babeltrace2's addresses of live sessions are live addresses where one is asked for", (t) => {
  const target = { hostname: 'vm', sessionName: 's' };
  t.like(parseLiveUri('net://h/host/vm/s'), { kind: 'live', family: 4, port: 5344, target });
  t.like(parseLiveUri('net6://[::1]:9'), { family: 6, host: '::1', port: 9, target: undefined });
  t.like(parseLiveUri('live://h/host/vm/s'), { family: undefined, target });
  t.throws(() => parseLiveUri('tcp://h/host/vm/s'), { code: 'MR_ERR_NETWORK_URI', message: /live:/ });
});

test('a relay is named by one address, or by one for each connection', (t) => {
  const control = { host: 'h', port: 5342, family: 4 } as const;
  const data = { host: 'h', port: 5343, family: 4, transport: 'tcp' } as const;
  t.deepEqual(relayTarget(parseUri('net://h/p')), { control, data, path: 'p' });
  t.deepEqual(relayTarget(parseUri('tcp://h/p'), parseUri('tcp://h/q')), { control, data, path: 'p' });
  t.deepEqual(relayTarget(parseUri('net://h'), parseUri('net://h')), { control, data, path: '' });
  const apart = relayTarget(parseUri('tcp6://[::1]:7'), parseUri('udp://10.0.0.1:7'));
  t.deepEqual(apart, {
    control: { host: '::1', port: 7, family: 6 },
    data: { host: '10.0.0.1', port: 7, family: 4, transport: 'udp' },
    path: '',
  });
});

test('what names no relay is refused', (t) => {
  const refusal = (message: RegExp) => ({ code: 'MR_ERR_NETWORK_URI', message });
  t.throws(() => relayTarget(parseUri('tcp://h')), refusal(/one connection only/));
  t.throws(() => relayTarget(parseUri('udp://h'), parseUri('udp://h:1')), refusal(/always TCP/));
  t.throws(() => relayTarget(parseUri('tcp://h:1'), parseUri('tcp://h:1')), refusal(/same port 1/));
  t.throws(() => relayTarget(parseUri('word')), refusal(/no relay/));
  t.throws(() => relayTarget(parseUri('tcp://h'), parseUri('live://h')), refusal(/no relay/));
});

test('hops stand in front of the end, and commas in paths divide nothing', (t) => {
  const { hops, to } = parseHops('net://a,net6://[::1]:1:2,tcp://c/x,y');
  t.deepEqual(
    hops.map(({ host, controlPort }) => `${host} ${controlPort}`),
    ['a 5342', '::1 1'],
  );
  t.like(to, { kind: 'endpoint', host: 'c', path: 'x,y' });
  t.deepEqual(parseHops('a,b').to, { kind: 'path', text: 'a,b', path: 'a,b' });
  t.throws(() => parseHops('tcp://a,net://b'), { code: 'MR_ERR_NETWORK_URI', message: /hop/ });
});
