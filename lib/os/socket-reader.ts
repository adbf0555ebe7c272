/**
 * Sockets whose bytes the kernel puts into our memory. Node's `onread` does that for sockets that it dials, not
 * for those that a server accepts; so the accepted socket's handle is moved into a new socket that has it. What
 * is undocumented in that is here and in `socket-handle.ts`; where it cannot be had (TLS, a Node that changed),
 * 'data' events are copied into the same memory, and nobody above sees a difference but speed.
 */
import { Socket } from 'node:net';
import { insideOf } from './socket-handle.ts';

/** Where bytes go, and who is told. Both calls are made on the event loop, never one inside the other. */
export interface ReadTarget {
  /**
   * Memory for the next read, at least one byte long; lent until `read` is called with it. Asked for when
   * reading is set up and right after each `read`, *even one that returned false*: Node holds the next buffer
   * before it stops.
   */
  buffer(): Buffer;
  /**
   * `buffer[0, bytesRead)` came. False stops reading before the next byte; `socket.resume()` goes on. Not called
   * again once the socket is destroyed.
   */
  read(bytesRead: number, buffer: Buffer): boolean;
}

/**
 * Lets `target` read a socket that nobody has read from: one accepted with `pauseOnConnect`, or dialled and
 * paused before it connected. Returns the socket to use from now on, stopped until its first `resume()`; the one
 * that was given is dead (its 'close' tells nothing), unless it is the one returned. 'end', 'error' and 'close'
 * are those of any socket. `byEvents` asks for the slow way.
 */
export function readInto(socket: Socket, target: ReadTarget, options: { byEvents?: boolean } = {}): Socket {
  const inside = insideOf(socket);
  const handle = inside._handle;
  const movable =
    options.byEvents !== true &&
    typeof handle?.useUserBuffer === 'function' &&
    !('encrypted' in socket) &&
    !socket.connecting &&
    socket.readableLength === 0;
  if (!movable) return readByEvents(socket, target);

  let asked = false;
  const onread = {
    buffer: (): Buffer => {
      asked = true;
      return target.buffer();
    },
    callback: (bytesRead: number, buffer: Uint8Array): boolean => target.read(bytesRead, buffer as Buffer),
  };
  const given = { handle, onread, pauseOnCreate: true, allowHalfOpen: socket.allowHalfOpen };
  inside._handle = null;
  const moved = new Socket(given);
  // the server goes on counting the connection, or its close() would not wait for it
  insideOf(moved)._server = inside._server;
  inside._server = null;
  socket.destroy();
  // the self-check: a Node that honours `onread` on a given handle has asked for memory by now
  return asked ? moved : readByEvents(moved, target);
}

function readByEvents(socket: Socket, target: ReadTarget): Socket {
  socket.pause();
  socket.on('data', (chunk: Buffer) => {
    // a destroyed socket still gives out what it had queued
    for (let at = 0; at < chunk.length && !socket.destroyed; ) {
      const buffer = target.buffer();
      const bytesRead = chunk.copy(buffer, 0, at);
      at += bytesRead;
      if (target.read(bytesRead, buffer)) continue;
      socket.pause();
      if (at < chunk.length) socket.unshift(chunk.subarray(at));
      return;
    }
  });
  return socket;
}
