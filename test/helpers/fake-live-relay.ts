/** A relay's live port whose replies are written by hand, for what no real one can be made to say. */
import { createServer, type Socket } from 'node:net';
import { field, join, u32, u64 } from './bytes.ts';

/** What to say to a request: bytes, or the connection's end. `undefined`: nothing, ever. */
export type Saying = Buffer | 'close' | undefined;
/** By command number; each is given the payload. */
export type Sayings = Readonly<Record<number, (payload: Buffer) => Saying>>;

/** Starts one; it ends with the test. */
export async function fakeLiveRelay(
  t: { teardown(leave: () => Promise<void>): void },
  sayings: Sayings,
): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let held = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      held = Buffer.concat([held, bytes]);
      for (;;) {
        if (held.length < 16) return;
        const size = Number(held.readBigUInt64BE(0));
        if (held.length < 16 + size) return;
        const said = sayings[held.readUInt32BE(8)]?.(held.subarray(16, 16 + size));
        held = held.subarray(16 + size);
        if (said === 'close') socket.destroy();
        else if (said !== undefined) socket.write(said);
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((done) => server.close(() => done()));
  });
  const { port } = server.address() as { port: number };
  return { host: '127.0.0.1', port };
}

export const connected = (minor = 13, major = 2): Buffer => join(u64(1), u32(major), u32(minor), u32(0));

/** A list entry of protocol 2.14 and older. */
export function listed(
  id: number,
  name: string,
  { timer = 1_000_000, clients = 0, streams = 1 } = {},
): Buffer {
  return join(u64(id), u32(timer), u32(clients), u32(streams), field('host', 64), field(name, 255));
}

/** A stream entry. */
export function shown(id: number, channel: string, isMetadata = false): Buffer {
  return join(u64(id), u64(1), u32(isMetadata ? 1 : 0), field('ust/uid/0/64-bit', 4096), field(channel, 255));
}

/** An index reply. */
export function index(
  status: number,
  given: Partial<Record<'offset' | 'bytes' | 'begin' | 'end', number>> = {},
) {
  const { offset = 0, bytes = 0, begin = 0, end = 0 } = given;
  const bits = bytes * 8;
  return join(u64(offset), u64(bits), u64(bits), u64(begin), u64(end), u64(0), u64(0), u32(status), u32(0));
}
