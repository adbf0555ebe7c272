/**
 * What a live peer says on one connection, held against what the recorded one said: byte for byte, or, where a
 * producer talks to a replayed relay, command for command, since names, times and packets are its own.
 */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import { Framer } from '../stage/framer.ts';
import { relayCommands, requestHeader } from '../wire/relay/index.ts';

/** See the file's head. */
export interface Heard {
  /** Takes what the live peer said; returns whether it may go on, or is far enough ahead. Throws the first difference. */
  live(bytes: Buffer): boolean;
  /** Takes what was recorded. Resolves when the live peer has said as much; rejects with the first difference. */
  recorded(bytes: Buffer): Promise<void>;
}

/** Makes MR_ERR_CAPTURE_MISMATCH for this connection. */
export type Mismatch = (what: string, got: string, expected: string) => MillraceError;

const shownBytes = 16;

/** Byte for byte. `onRoom`: the live peer may go on. */
export class HeardBytes implements Heard {
  readonly #mismatch: Mismatch;
  readonly #onRoom: () => void;
  /** Said by the live peer, and by the recorded one, from `#offset` on; one of them is empty. */
  #live: Buffer[] = [];
  #expected: Buffer = Buffer.alloc(0);
  #offset = 0;
  #aheadBytes = 0;
  #settle: { resolve: () => void; reject: (error: MillraceError) => void } | undefined;

  constructor(mismatch: Mismatch, onRoom: () => void) {
    this.#mismatch = mismatch;
    this.#onRoom = onRoom;
  }

  live(bytes: Buffer): boolean {
    this.#live.push(bytes);
    this.#aheadBytes += bytes.length;
    this.#compare();
    return this.#aheadBytes < limits.scratchBytes;
  }

  recorded(bytes: Buffer): Promise<void> {
    this.#expected = bytes;
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#compare();
    });
  }

  #compare(): void {
    while (this.#expected.length > 0) {
      const next = this.#live[0];
      if (next === undefined) return;
      const length = Math.min(next.length, this.#expected.length);
      const [got, expected] = [next.subarray(0, length), this.#expected.subarray(0, length)];
      if (!got.equals(expected)) {
        this.#differ(got, expected);
        return;
      }
      this.#offset += length;
      this.#aheadBytes -= length;
      this.#expected = this.#expected.subarray(length);
      if (length === next.length) this.#live.shift();
      else this.#live[0] = next.subarray(length);
    }
    this.#onRoom();
    this.#settle?.resolve();
    this.#settle = undefined;
  }

  #differ(got: Buffer, expected: Buffer): void {
    let at = 0;
    while (got[at] === expected[at]) at += 1;
    const shown = (bytes: Buffer) => bytes.subarray(at, at + shownBytes).toString('hex');
    this.#settle?.reject(this.#mismatch(`byte ${this.#offset + at}`, shown(got), shown(expected)));
    this.#settle = undefined;
  }
}

interface RequestHeader {
  command: number;
  bodyBytes: number;
  collectBytes: number;
}

/** Command for command of a producer's control connection. */
export class HeardRequests implements Heard {
  readonly #mismatch: Mismatch;
  readonly #live: number[] = [];
  readonly #expected: number[] = [];
  #heard = 0;
  #settle: { resolve: () => void; reject: (error: MillraceError) => void } | undefined;
  readonly #liveFramer = commandsOf((command) => this.#live.push(command));
  readonly #recordedFramer = commandsOf((command) => this.#expected.push(command));

  constructor(mismatch: Mismatch) {
    this.#mismatch = mismatch;
  }

  live(bytes: Buffer): boolean {
    this.#liveFramer.feed(bytes, 0, bytes.length);
    this.#compare();
    return true;
  }

  recorded(bytes: Buffer): Promise<void> {
    this.#recordedFramer.feed(bytes, 0, bytes.length);
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#compare();
    });
  }

  #compare(): void {
    while (this.#expected.length > 0) {
      const [got, expected] = [this.#live[0], this.#expected[0]];
      if (got === undefined || expected === undefined) return;
      if (got !== expected) {
        this.#settle?.reject(this.#mismatch(`request ${this.#heard}`, nameOf(got), nameOf(expected)));
        return;
      }
      this.#live.shift();
      this.#expected.shift();
      this.#heard += 1;
    }
    this.#settle?.resolve();
    this.#settle = undefined;
  }
}

/** Whatever it is: packets of a live producer are its own. */
export const heardAnything: Heard = {
  live: () => true,
  recorded: () => Promise.resolve(),
};

function commandsOf(take: (command: number) => void): Framer<RequestHeader> {
  return new Framer(
    {
      what: 'request',
      headerBytes: requestHeader.minSizeBytes,
      header(bytes, at) {
        const { command, dataSizeBytes } = requestHeader.decode(bytes, at, at + requestHeader.minSizeBytes);
        const expected = limits.controlPayloadBytes;
        if (dataSizeBytes > BigInt(expected))
          throw new MillraceError('MR_ERR_WIRE_LONG', { what: 'request', got: dataSizeBytes, expected });
        return { command, bodyBytes: Number(dataSizeBytes), collectBytes: 0 };
      },
    },
    {
      begin: ({ command, bodyBytes }) => bodyBytes === 0 && take(command),
      part: ({ command }, _b, _s, _e, last) => last && take(command),
    },
  );
}

function nameOf(command: number): string {
  return relayCommands.get(command)?.name ?? `command ${command}`;
}
