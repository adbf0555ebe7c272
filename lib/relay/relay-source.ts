/**
 * A relay as a source of frames: producers stream into it as into any other, and what they say comes out. It keeps only
 * what it needs to answer them as a relay must, in a directory of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import type { Frame } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';
import { relayOptions } from './defaults.ts';
import type { ListenAddress, Relay } from './options.ts';
import { createRelay } from './server.ts';
import type { FrameTap } from './tap.ts';

/** Batches that may wait before producers are held back. */
const mostWaiting = 4;

/** Where to listen; `onListening` with the ports that the system chose for 0. */
export interface RelaySourceOptions {
  control: ListenAddress;
  data: ListenAddress;
  onListening?: (addresses: { control: ListenAddress; data: ListenAddress }) => void;
}

/** A source that can be ended in good order. */
export interface RelaySource extends Readable {
  /** Accepts nobody from now on, ends the sessions that are open, and then the source. */
  finish(): Promise<void>;
}

/**
 * A Readable of FrameBatch as producers send it: an order stage belongs behind it. Ends after `finish`. Fails with
 * MR_ERR_NETWORK_LISTEN and the errors of a relay's start.
 */
export function relaySource(options: RelaySourceOptions): RelaySource {
  return new ListeningSource(options);
}

class ListeningSource extends Readable implements RelaySource, FrameTap {
  readonly #options: RelaySourceOptions;
  #relay: Relay | undefined;
  #directory: string | undefined;
  #waiting: FrameBatch[] = [];
  #whenRoom: (() => void)[] = [];
  #wanted = false;

  constructor(options: RelaySourceOptions) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#options = options;
  }

  override _construct(callback: (error?: Error | null) => void): void {
    this.#start().then(() => callback(), callback);
  }

  async #start(): Promise<void> {
    const { control, data, onListening } = this.#options;
    this.#directory = await mkdtemp(join(tmpdir(), 'millrace-relay-'));
    const relay = createRelay(
      relayOptions(this.#directory, {
        control,
        data,
        tap: this,
      }),
    );
    await relay.start();
    this.#relay = relay;
    onListening?.(relay.addresses);
  }

  frame(frame: Frame, slab: Slab | undefined): void {
    this.#put({ slab: slab?.retain(), frames: [frame] });
  }

  async data({ slab, frames }: FrameBatch): Promise<void> {
    this.#put({ slab: slab?.retain(), frames });
    while (this.#waiting.length > mostWaiting && !this.destroyed)
      await new Promise<void>((resume) => this.#whenRoom.push(resume));
  }

  /** The frame of its end was told already. */
  streamClosed(): void {}

  isWritten(): boolean {
    return this.#waiting.length === 0;
  }

  #put(batch: FrameBatch): void {
    if (this.destroyed) {
      releaseBatch(batch);
      return;
    }
    this.#waiting.push(batch);
    if (this.#wanted) this.#give();
  }

  override _read(): void {
    this.#wanted = true;
    this.#give();
  }

  #give(): void {
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    this.#wanted = false;
    this.push(batch);
    for (const resume of this.#whenRoom.splice(0)) resume();
  }

  async finish(): Promise<void> {
    await this.#relay?.close();
    for (let batch = this.#waiting.shift(); batch !== undefined; batch = this.#waiting.shift())
      this.push(batch);
    this.push(null);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    for (const batch of this.#waiting.splice(0)) releaseBatch(batch);
    for (const resume of this.#whenRoom.splice(0)) resume();
    this.#relay?.destroy();
    const close = async (): Promise<void> => {
      await this.#relay?.close();
      if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
    };
    close().then(
      () => callback(error),
      (failure: Error) => callback(error ?? failure),
    );
  }
}
