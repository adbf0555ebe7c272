/** Datagrams: listening for them, and sending them to one place. */
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import { tell } from '../telemetry.ts';
import { addressText } from './address.ts';

/** A place to send datagrams to. */
export interface UdpAddress {
  host: string;
  port: number;
  family?: 4 | 6;
}

/** A socket that takes datagrams. */
export interface UdpListener {
  /** With the port that the system chose for 0. */
  readonly address: { host: string; port: number };
  /** What may wait unread, as the system counts it, bytes. */
  readonly bufferBytes: number;
  close(): Promise<void>;
}

/**
 * Takes datagrams at `address`; `onDatagram` owns the bytes of each. Rejects MR_ERR_NETWORK_LISTEN; what goes wrong
 * later is told (`network:udp`).
 */
export async function listenUdp(
  address: UdpAddress,
  onDatagram: (bytes: Buffer) => void,
): Promise<UdpListener> {
  const text = addressText(address);
  const socket = await socketFor(address, limits.udpReceiveBytes);
  try {
    socket.bind(address.port, address.host);
    await once(socket, 'listening');
  } catch (cause) {
    socket.close();
    throw new MillraceError('MR_ERR_NETWORK_LISTEN', { address: `udp ${text}`, why: why(cause) }, { cause });
  }
  socket.on('message', onDatagram).on('error', (error) => {
    tell('warn', 'network:udp', `udp ${text}: ${why(error)}`, { address: text });
  });
  const { address: host, port } = socket.address();
  const bufferBytes = socket.getRecvBufferSize();
  return { address: { host, port }, bufferBytes, close: () => closed(socket) };
}

/** A socket that sends to one place. */
export interface UdpSender {
  /** Sends one datagram; `done` when the kernel has it, or has refused it. */
  send(ranges: readonly Buffer[], done: () => void): void;
  close(): Promise<void>;
}

/**
 * Prepares to send to `address`. `onFailed`: the system says that nobody takes datagrams there. Rejects
 * MR_ERR_NETWORK_DIAL.
 */
export async function dialUdp(
  address: UdpAddress,
  onFailed: (error: MillraceError) => void,
): Promise<UdpSender> {
  const text = addressText(address);
  const socket = await socketFor(address).catch((cause: unknown) => {
    throw new MillraceError('MR_ERR_NETWORK_DIAL', { address: `udp ${text}`, why: why(cause) }, { cause });
  });
  try {
    socket.connect(address.port, address.host);
    await once(socket, 'connect');
  } catch (cause) {
    socket.close();
    throw new MillraceError('MR_ERR_NETWORK_DIAL', { address: `udp ${text}`, why: why(cause) }, { cause });
  }
  let isClosed = false;
  const failed = (error: Error): void => {
    if (!isClosed)
      onFailed(
        new MillraceError('MR_ERR_NETWORK_LOST', { peer: `udp ${text}`, why: why(error) }, { cause: error }),
      );
  };
  socket.on('error', failed);
  return {
    send(ranges, done) {
      if (isClosed) return done();
      socket.send(ranges as Buffer[], (error) => {
        if (error !== null) failed(error);
        done();
      });
    },
    close() {
      isClosed = true;
      return closed(socket);
    },
  };
}

async function socketFor({ host, family }: UdpAddress, recvBufferSize?: number): Promise<Socket> {
  const known = family ?? (isIP(host) || (await lookup(host)).family);
  return createSocket({ type: known === 6 ? 'udp6' : 'udp4', ...(recvBufferSize && { recvBufferSize }) });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    try {
      socket.close(resolve);
    } catch {
      // closed already
      resolve();
    }
  });
}
