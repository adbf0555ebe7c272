/** A relay that only listens: enough for what the command line does with one. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import {
  type ListenAddress,
  MillraceError,
  type Relay,
  type RelayOptions,
  type RelayStatus,
  tell,
  why,
} from '../../lib/index.ts';

export interface FakeRelay extends Relay {
  readonly options: RelayOptions;
  readonly calls: string[];
}

/** `closing`: what `close` waits for, besides its listeners. */
export function fakeRelay(options: RelayOptions, closing: Promise<void> = Promise.resolve()): FakeRelay {
  const servers: Server[] = [];
  const calls: string[] = [];
  let addresses = { control: options.control, data: options.data, live: options.live };
  const open = async ({ host, port }: ListenAddress): Promise<ListenAddress> => {
    const server = createServer().listen(port, host);
    servers.push(server);
    try {
      await once(server, 'listening');
    } catch (error) {
      throw new MillraceError('MR_ERR_NETWORK_LISTEN', { address: `${host}:${port}`, why: why(error) });
    }
    const bound = server.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  };
  const closeServers = (): void => {
    for (const server of servers) server.close();
  };
  return {
    options,
    calls,
    async start() {
      calls.push('start');
      try {
        const { control, data, live } = options;
        addresses = { control: await open(control), data: await open(data), live: await open(live) };
      } catch (error) {
        closeServers();
        throw error;
      }
      tell('info', 'relay:listening', `listening: control ${addresses.control.port}`);
    },
    get addresses() {
      return addresses;
    },
    status: () => fakeStatus({ addresses, outputPath: options.outputPath }),
    health: () => 0,
    async close() {
      calls.push('close');
      closeServers();
      await closing;
    },
    destroy() {
      calls.push('destroy');
      closeServers();
    },
  };
}

/** A status with one live session of two streams. */
export function fakeStatus(changes: Partial<RelayStatus> = {}): RelayStatus {
  const address = { host: '127.0.0.1', port: 1 };
  const stream = {
    handle: 1,
    name: 'channel0_0',
    path: 'vm/s1-20261120-181759/ust/uid/0/64-bit',
    packets: 3,
    bytes: 12_288,
    committedBytes: 8192,
    halfPackets: 1,
    lostPackets: 0,
    closed: false,
  };
  return {
    version: '0.1.0',
    pid: 42,
    startedMs: Date.UTC(2026, 10, 20, 18, 17),
    outputPath: '/traces',
    addresses: { control: address, data: address, live: address },
    durability: 'none',
    locks: true,
    connections: { control: 2, data: 1, live: 0, strangers: 0 },
    viewers: [],
    unreadPackets: 0,
    sessions: [
      {
        id: 1,
        hostname: 'vm',
        name: 's1',
        peer: '127.0.0.1:40000',
        minor: 13,
        live: true,
        snapshot: false,
        path: 'vm/s1-20261120-181759',
        createdMs: Date.UTC(2026, 10, 20, 18, 17, 59),
        connected: true,
        packets: 5,
        bytes: 20_480,
        metadataBytes: 2937,
        streams: [stream, { ...stream, handle: 2, name: 'channel0_1', lostPackets: 2, halfPackets: 0 }],
      },
    ],
    totals: { sessions: 1, streams: 2, packets: 5, bytes: 20_480, metadataBytes: 2937 },
    bytesInFlight: 4096,
    slabsInUse: 1,
    files: { open: 4, suspended: 0, waiting: 0 },
    waitingForSpace: 0,
    lost: { 'never came': { packets: 2, bytes: 8192 } },
    refused: {},
    traceChunks: 0,
    lockConflicts: 0,
    ...changes,
  };
}
