/**
 * Socket options that Node does not set, or not as the peers of a relay know them. Constants: Linux
 * asm-generic/socket.h and netinet/tcp.h, tcp(7).
 */

import type { Socket } from 'node:net';
import { tell } from '../telemetry.ts';
import { errnoName, loadLibc } from './libc.ts';
import { descriptorOf } from './socket-handle.ts';

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_QUICKACK = 12;
const TCP_USER_TIMEOUT = 18;

/** Keep-alive; a time or count that is 0, negative or absent leaves the system's. */
export interface KeepAlive {
  enabled: boolean;
  /** Silence before the first probe, seconds. */
  idleTimeS?: number;
  /** Between probes, seconds. */
  probeIntervalS?: number;
  /** Unanswered probes after which the connection is lost. */
  maxProbeCount?: number;
}

/**
 * Switches keep-alive on or off, with the times given. Node's own `setKeepAlive` also sets an interval of 1 s and
 * 10 probes, whatever the system's are; it is used only where koffi is missing. Returns whether everything asked
 * for is in force.
 */
export function setKeepAlive(socket: Socket, keepAlive: KeepAlive): boolean {
  const { enabled, idleTimeS = 0, probeIntervalS = 0, maxProbeCount = 0 } = keepAlive;
  if (loadLibc().libc === undefined) {
    socket.setKeepAlive(enabled, Math.max(idleTimeS, 0) * 1000);
    return !enabled || (probeIntervalS <= 0 && maxProbeCount <= 0);
  }
  const done = [setOption(socket, SOL_SOCKET, SO_KEEPALIVE, enabled ? 1 : 0, 'SO_KEEPALIVE')];
  if (enabled && idleTimeS > 0)
    done.push(setOption(socket, IPPROTO_TCP, TCP_KEEPIDLE, idleTimeS, 'TCP_KEEPIDLE'));
  if (enabled && probeIntervalS > 0)
    done.push(setOption(socket, IPPROTO_TCP, TCP_KEEPINTVL, probeIntervalS, 'TCP_KEEPINTVL'));
  if (enabled && maxProbeCount > 0)
    done.push(setOption(socket, IPPROTO_TCP, TCP_KEEPCNT, maxProbeCount, 'TCP_KEEPCNT'));
  return done.every(Boolean);
}

/**
 * Loses the connection when bytes that were sent stay unacknowledged, or cannot be sent because the peer reads
 * nothing, for `timeoutMs`; 0 = the system's. This is what SO_SNDTIMEO is to a blocking socket: Node's sockets do
 * not block, so SO_SNDTIMEO and SO_RCVTIMEO do nothing on them. The receiving half (a message begun and not
 * finished in time) can only be kept by who knows where a message ends. Returns false without koffi.
 */
export function setSendTimeout(socket: Socket, timeoutMs: number): boolean {
  return setOption(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, timeoutMs, 'TCP_USER_TIMEOUT');
}

/**
 * As `setKeepAlive`, and bounds the time in which sent bytes may stay unacknowledged likewise: while some do, the
 * system probes nothing, and gives up after a quarter of an hour. A peer that reads nothing for so long is lost as well.
 * Where one of the times is the system's, that bound is.
 */
export function loseVanished(socket: Socket, keepAlive: KeepAlive): void {
  const { enabled, idleTimeS = 0, probeIntervalS = 0, maxProbeCount = 0 } = keepAlive;
  setKeepAlive(socket, keepAlive);
  if (enabled && idleTimeS > 0 && probeIntervalS > 0 && maxProbeCount > 0)
    setSendTimeout(socket, (idleTimeS + probeIntervalS * maxProbeCount) * 1000);
}

/**
 * Acknowledges what was received at once, for this time only: the kernel falls back to delayed acknowledgements
 * by itself, so it is called again after each read that a peer may wait behind. A producer that writes one
 * message in three pieces under Nagle waits 40 ms for each otherwise (relay-protocol, "Transport"). Returns false
 * without koffi.
 */
export function quickAck(socket: Socket): boolean {
  return setOption(socket, IPPROTO_TCP, TCP_QUICKACK, 1, 'TCP_QUICKACK');
}

const value = new Int32Array(1);
const valueBytes = new Uint8Array(value.buffer);

/** Sets one option of type int; false where it cannot be done: no koffi, a closed socket, or refused (told). */
function setOption(socket: Socket, level: number, option: number, int: number, name: string): boolean {
  const { libc } = loadLibc();
  const fd = descriptorOf(socket);
  if (libc === undefined || fd === undefined) return false;
  value[0] = int;
  const errno = libc.setsockopt(fd, level, option, valueBytes);
  if (errno === 0) return true;
  tell('warn', 'os:socket-option', `${name} = ${int} refused: ${errnoName(errno)}`, { name, int });
  return false;
}
