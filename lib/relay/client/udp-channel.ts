/**
 * The sending end of packets over UDP, towards a millrace relay. Packets are cut into fragments; a slab is held until
 * the kernel has its last byte. Datagrams cannot be pushed back, so no more of them are under way than a window
 * allows: the control connection tells the relay how far was sent, and the relay how many have come. The window grows
 * while nothing is lost and halves when something is.
 */
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { UdpSender } from '../../network/udp.ts';
import type { Slab } from '../../stage/slab.ts';
import { datagram, datagramHeaderBytes, type ReplyOf, udpOverheadBytes } from '../../wire/relay/index.ts';
import type { ControlChannel } from './control-channel.ts';
import type { DataLink } from './data-link.ts';

export interface UdpChannelOptions {
  peer: string;
  /** Bytes of one datagram on the link, with the headers of IP and UDP. */
  mtu: number;
  timeoutMs: number;
  /** Called once, with what ended it before `end`. */
  onFailed: (error: MillraceError) => void;
}

/** A datagram that waits to be sent. */
interface Waiting {
  ranges: Buffer[];
  slabs: Slab[];
  bytes: number;
  /** With the last fragment of a packet: whose it is. */
  ends: { streamId: bigint; netSeqNum: bigint } | undefined;
}

/** The packet that is being cut. */
interface Current {
  streamId: bigint;
  netSeqNum: bigint;
  dataSizeBytes: number;
  paddingSizeBytes: number;
  fragment: number;
  offsetBytes: number;
}

/** Datagrams that may be under way, at first and at least, and at the most. */
const firstWindow = 64;
const mostWindow = 8192;
/** By how much the window grows with each good word: as long as the relay's buffer holds it, and beyond. */
const fastGrowth = 64;
const slowGrowth = 4;

/** See the file's head. Owns the sender. */
export class UdpChannel implements DataLink {
  readonly closed: Promise<void>;
  readonly #options: UdpChannelOptions;
  readonly #sender: UdpSender;
  readonly #fragmentBytes: number;
  #control: ControlChannel | undefined;
  #token = 0n;
  #current: Current | undefined;
  /** The fragment that is being filled. */
  #filling: Waiting = emptyFragment();
  #waiting: Waiting[] = [];
  #queuedBytes = 0;
  #sequence = 0n;
  /** Datagrams that the relay knows of, and how many of them never came. */
  #toldSequence = 0n;
  #missing = 0n;
  #window = firstWindow;
  /** So many the relay's buffer holds, should the relay not get to read them. */
  #bufferedWindow = firstWindow;
  #telling = false;
  /** How far each stream was sent, where the relay does not know it yet. */
  readonly #first = new Map<bigint, bigint>();
  readonly #untold = new Map<bigint, bigint>();
  #whenMoved: (() => void)[] = [];
  #failed: MillraceError | undefined;
  #closed: () => void = () => {};

  constructor(sender: UdpSender, options: UdpChannelOptions) {
    this.#sender = sender;
    this.#options = options;
    this.#fragmentBytes = Math.max(1, options.mtu - udpOverheadBytes - datagramHeaderBytes);
    this.closed = new Promise((resolve) => {
      this.#closed = resolve;
    });
  }

  /** UDP_OPEN. */
  async opened(control: ControlChannel): Promise<void> {
    const { token, bufferBytes } = await control.ask('udpOpen', {});
    this.#bufferedWindow = Math.max(firstWindow, Math.floor(bufferBytes / 2 / this.#options.mtu));
    this.#control = control;
    this.#token = token;
  }

  header(streamId: bigint, netSeqNum: bigint, dataSizeBytes: number, paddingSizeBytes: number): void {
    this.#current = { streamId, netSeqNum, dataSizeBytes, paddingSizeBytes, fragment: 0, offsetBytes: 0 };
    if (!this.#first.has(streamId)) this.#first.set(streamId, netSeqNum);
    if (dataSizeBytes === 0) this.#cut();
  }

  bytes(slab: Slab, start: number, end: number): void {
    this.#fill(slab.bytes, start, end, slab);
  }

  filler(bytes: Buffer): void {
    this.#fill(bytes, 0, bytes.length, undefined);
  }

  #fill(bytes: Buffer, start: number, end: number, slab: Slab | undefined): void {
    for (let at = start; at < end; ) {
      const current = this.#current as Current;
      const filling = this.#filling;
      const left = current.dataSizeBytes - current.offsetBytes - filling.bytes;
      const taken = Math.min(end - at, this.#fragmentBytes - filling.bytes, left);
      if (taken <= 0) return;
      filling.ranges.push(bytes.subarray(at, at + taken));
      if (slab !== undefined) filling.slabs.push(slab.retain());
      filling.bytes += taken;
      at += taken;
      if (filling.bytes === this.#fragmentBytes || taken === left) this.#cut();
    }
  }

  /** The fragment that is being filled is done. */
  #cut(): void {
    const current = this.#current as Current;
    const filling = this.#filling;
    this.#filling = emptyFragment();
    if (this.#failed !== undefined) {
      release(filling);
      return;
    }
    const head = datagram.encode({
      ...current,
      token: this.#token,
      sequence: this.#sequence + BigInt(this.#waiting.length),
      bytes: Buffer.alloc(0),
    });
    filling.ranges.unshift(head);
    current.fragment += 1;
    current.offsetBytes += filling.bytes;
    if (current.offsetBytes === current.dataSizeBytes) {
      filling.ends = { streamId: current.streamId, netSeqNum: current.netSeqNum };
      this.#current = undefined;
    }
    this.#waiting.push(filling);
    this.#queuedBytes += filling.bytes;
  }

  flush(): void {
    if (this.#failed !== undefined || this.#control === undefined) return;
    let sent = 0;
    for (const next of this.#waiting) {
      if (this.#sequence - this.#toldSequence >= BigInt(this.#window)) break;
      sent += 1;
      this.#sequence += 1n;
      this.#sender.send(next.ranges, () => {
        release(next);
        this.#queuedBytes -= next.bytes;
        this.#moved();
      });
      if (next.ends !== undefined) this.#untold.set(next.ends.streamId, next.ends.netSeqNum);
    }
    this.#waiting.splice(0, sent);
    const isHalf = this.#sequence - this.#toldSequence >= BigInt(this.#window >> 1);
    if (isHalf || this.#waiting.length === 0) this.#tell();
  }

  /** Tells the relay how far was sent; one word at a time. */
  #tell(): void {
    if (this.#telling || this.#control === undefined) return;
    if (this.#sequence === this.#toldSequence && this.#untold.size === 0) return;
    this.#telling = true;
    const datagrams = this.#sequence;
    const streams = [...this.#untold].map(([streamId, lastNetSeqNum]) => ({
      streamId,
      firstNetSeqNum: this.#first.get(streamId) ?? lastNetSeqNum,
      lastNetSeqNum,
    }));
    this.#untold.clear();
    this.#control.send('udpSent', { datagrams, streams }, (reply) => {
      this.#telling = false;
      this.#heard(datagrams, reply);
      this.flush();
      this.#moved();
    });
  }

  /** What was told before this word, and is not counted in its reply, is lost (or very late). */
  #heard(datagrams: bigint, { received }: ReplyOf<'udpSent'>): void {
    const missing = this.#toldSequence - received;
    if (missing > this.#missing) {
      this.#missing = missing;
      this.#window = Math.max(firstWindow, this.#window >> 1);
    } else if (this.#window < this.#bufferedWindow)
      this.#window = Math.min(this.#bufferedWindow, this.#window + fastGrowth);
    else this.#window = Math.min(mostWindow, this.#window + slowGrowth);
    this.#toldSequence = datagrams;
  }

  async room(mostBytes: number = limits.clientQueuedBytes): Promise<void> {
    const isDone = () =>
      mostBytes > 0
        ? this.#queuedBytes <= mostBytes
        : this.#queuedBytes === 0 && !this.#telling && this.#toldSequence === this.#sequence;
    while (this.#failed === undefined && !isDone()) {
      this.flush();
      await this.#progress();
    }
    if (this.#failed !== undefined) throw this.#failed;
  }

  #progress(): Promise<void> {
    return new Promise((resolve) => {
      const stalled = setTimeout(() => {
        const { peer, timeoutMs } = this.#options;
        this.fail(
          new MillraceError('MR_ERR_STAGE_STALLED', {
            what: `relay ${peer} (udp)`,
            seconds: timeoutMs / 1000,
          }),
        );
      }, this.#options.timeoutMs);
      this.#whenMoved.push(() => {
        clearTimeout(stalled);
        resolve();
      });
    });
  }

  #moved(): void {
    for (const resume of this.#whenMoved.splice(0)) resume();
  }

  fail(error: MillraceError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#drop();
    void this.#sender.close().then(this.#closed);
    this.#moved();
    this.#options.onFailed(error);
  }

  async end(): Promise<void> {
    this.#drop();
    await this.#sender.close();
    this.#closed();
  }

  #drop(): void {
    for (const each of [...this.#waiting.splice(0), this.#filling]) release(each);
    this.#filling = emptyFragment();
  }
}

function emptyFragment(): Waiting {
  return { ranges: [], slabs: [], bytes: 0, ends: undefined };
}

function release({ slabs }: Waiting): void {
  for (const slab of slabs.splice(0)) slab.release();
}
