/**
 * The packet of a stream whose data is coming: its pieces go to its tracefile as they come, and leave for the disk
 * together with whatever else is staged.
 */
import type { Data } from '../stage/frames.ts';
import type { ChunkSwitch } from './chunk-switch.ts';
import type { Packet } from './packets.ts';
import type { StreamFiles } from './stream-files.ts';
import type { Tracefile } from './tracefile.ts';

/** See the file's head. */
export class PacketIntake {
  readonly #files: StreamFiles;
  readonly #switch: ChunkSwitch;
  #packet: Packet | undefined;
  /** Files with something that is not flushed. */
  readonly #staged = new Set<Tracefile>();

  constructor(files: StreamFiles, chunkSwitch: ChunkSwitch) {
    this.#files = files;
    this.#switch = chunkSwitch;
  }

  /** undefined: the next packet has not begun. */
  get packet(): Packet | undefined {
    return this.#packet;
  }

  /**
   * Takes one frame; `bytes` is borrowed until the `done` of the next `flush`. Pieces of a packet whose beginning was
   * not taken are dropped. Returns false if a packet begins and has no file to go to. Errors: MR_ERR_DISK_CREATE for the
   * next tracefile.
   */
  take(frame: Data, bytes: Buffer): boolean {
    if (this.#packet === undefined) {
      if (frame.offsetBytes > 0) return true;
      // While a change of chunks is pending the file stays, so that the split lies in it.
      const { dataSizeBytes } = frame;
      const next = this.#switch.isPending ? this.#files.current : this.#files.fileFor(dataSizeBytes);
      if (next === undefined) return false;
      this.#packet = begun(frame, next);
    }
    const packet = this.#packet;
    const tracefile = packet.tracefile as Tracefile;
    if (frame.end > frame.start) tracefile.push(bytes.subarray(frame.start, frame.end));
    this.#staged.add(tracefile);
    if (!frame.last) return true;
    if (frame.paddingSizeBytes > 0) tracefile.pad(frame.paddingSizeBytes);
    packet.endBytes = tracefile.endBytes;
    tracefile.end(packet);
    this.#packet = undefined;
    return true;
  }

  /** Writes what was staged; `done` when the slab is free again. */
  flush(done: () => void): void {
    let outstanding = 1;
    const one = () => {
      outstanding -= 1;
      if (outstanding === 0) done();
    };
    const staged = [...this.#staged];
    this.#staged.clear();
    for (const tracefile of staged) {
      outstanding += 1;
      tracefile.flush(one);
    }
    one();
  }

  /** The rest of the packet never comes; what has come of it stays where it is. */
  drop(): void {
    this.#packet = undefined;
  }
}

function begun({ netSeqNum }: Data, tracefile: Tracefile): Packet {
  return {
    netSeqNum,
    tracefile,
    startBytes: tracefile.endBytes,
    endBytes: -1,
    index: undefined,
    recorded: false,
  };
}
