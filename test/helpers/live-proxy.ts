/** Stands between a viewer and a relay, and can make the connection go, or make the viewer look like any other. */
import { connect, createServer, type Socket } from 'node:net';
import type { Address } from './peer.ts';

/** See the file's head; ends with the test. */
export class LiveProxy {
  /** Connections so far. */
  connections = 0;
  /** Bytes from the relay after which the next connection is cut; undefined: none is. */
  cutAfterBytes: number | undefined;
  /** New connections are closed at once. */
  isShut = false;
  readonly #target: Address;
  readonly #disguise: boolean;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((viewer) => this.#accept(viewer));

  private constructor(target: Address, disguise: boolean) {
    this.#target = target;
    this.#disguise = disguise;
  }

  /** `disguise`: the relay is not told that its viewer is millrace. */
  static async open(
    t: { teardown(leave: () => Promise<void>): void },
    target: Address,
    { disguise = false } = {},
  ): Promise<LiveProxy> {
    const proxy = new LiveProxy(target, disguise);
    await new Promise<void>((done) => proxy.#server.listen(0, '127.0.0.1', done));
    t.teardown(() => proxy.#close());
    return proxy;
  }

  get address(): { host: string; port: number } {
    const { port } = this.#server.address() as { port: number };
    return { host: '127.0.0.1', port };
  }

  /** Every connection goes at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(viewer: Socket): void {
    if (this.isShut) {
      viewer.destroy();
      return;
    }
    this.connections += 1;
    const relay = connect(this.#target.port, this.#target.host);
    const cutAfter = this.cutAfterBytes;
    this.cutAfterBytes = undefined;
    let passed = 0;
    let isFirst = true;
    for (const [from, to] of [
      [viewer, relay],
      [relay, viewer],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    viewer.on('data', (bytes) => {
      if (isFirst && this.#disguise) Buffer.from(bytes).fill(0xff, 16, 24).copy(bytes);
      isFirst = false;
      relay.write(bytes);
    });
    relay.on('data', (bytes) => {
      passed += bytes.length;
      if (cutAfter !== undefined && passed >= cutAfter) {
        const left = bytes.subarray(0, bytes.length - (passed - cutAfter));
        viewer.write(left, () => viewer.destroy());
      } else viewer.write(bytes);
    });
  }

  async #close(): Promise<void> {
    this.cut();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }
}
