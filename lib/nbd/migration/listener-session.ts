/** One sender's connection to a listener: flexnbd's, or one of a millrace source, which says so first. */
import { createHash } from 'node:crypto';
import type { Image } from '../../disk/image.ts';
import { limits } from '../../limits.ts';
import { hashBytes, peerCommands, simpleReply, whereBytes } from '../../wire/nbd/index.ts';
import type { CommandContext } from '../server/context.ts';
import type { ExtendedSession } from '../server/extension.ts';
import type { Request } from '../server/request-reader.ts';

/** What a session has of its listener. */
export interface SessionOwner {
  /** It knows no private commands. */
  readonly isPlain: boolean;
  readonly servedAt: string;
  readonly image: Image;
  /** Whether there is no other. */
  isAlone(session: Session): boolean;
  /** One begins that has not joined. */
  begins(): void;
  join(session: Session, mirror: number, attempt: number): Promise<boolean>;
  left(session: Session, isDisc: boolean, isGood: boolean): void;
}

/** See the file's head. */
export class Session implements ExtendedSession {
  readonly peer: string;
  readonly #listener: SessionOwner;
  readonly cut: () => void;
  isJoined = false;
  #hasBegun = false;
  #patience: NodeJS.Timeout | undefined;

  /** `joinMs`: how long it may take to join; undefined: for ever. */
  constructor(listener: SessionOwner, peer: string, cut: () => void, joinMs: number | undefined) {
    this.#listener = listener;
    this.peer = peer;
    this.cut = cut;
    if (joinMs === undefined) return;
    this.#patience = setTimeout(() => {
      if (!this.isJoined) cut();
    }, joinMs);
  }

  begin(context: CommandContext, request: Request): boolean {
    const { type } = request;
    if (type === peerCommands.join && !this.#listener.isPlain) {
      this.#join(context, request);
      return true;
    }
    if (this.isJoined) return this.#private(context, request);
    if (this.#hasBegun) return false;
    // beside a mirror's connections only those of that mirror may do anything
    if (!this.#listener.isAlone(this)) {
      this.cut();
      return true;
    }
    this.#hasBegun = true;
    this.#listener.begins();
    return false;
  }

  ended(ending: { how: string }, { failed }: { failed: number }): void {
    clearTimeout(this.#patience);
    this.#listener.left(this, ending.how === 'disc', failed === 0);
  }

  #join(context: CommandContext, request: Request): void {
    context.run(request, async () => {
      if (this.#hasBegun || !(await this.#listener.join(this, request.offset, request.length))) {
        context.fail(request, 'EPERM', 'another migration is under way');
        return;
      }
      this.isJoined = true;
      // it says FLUSH before the hand-over
      context.durable = false;
      context.codec.done(context.outbox, request);
    });
  }

  #private(context: CommandContext, request: Request): boolean {
    const { type, offset, length } = request;
    const { image, sizeBytes } = context;
    if (type === peerCommands.where) {
      answer(context, request, Buffer.from(this.#listener.servedAt).subarray(0, whereBytes - 1), whereBytes);
      return true;
    }
    if (type !== peerCommands.hash) return false;
    if (offset > sizeBytes || length > sizeBytes - offset || length > limits.mirrorRequestBytes * 8) {
      context.fail(request, 'EINVAL', `the hash of ${length} bytes at ${offset}`);
      return true;
    }
    context.run(request, async () => {
      const bytes = Buffer.allocUnsafe(length);
      await image.read(bytes, 0, length, offset);
      answer(context, request, createHash('sha256').update(bytes).digest(), hashBytes);
    });
    return true;
  }
}

/** A reply with data, which is little. */
function answer({ outbox }: CommandContext, { cookie }: Request, data: Buffer, sizeBytes: number): void {
  outbox.small(simpleReply.minSizeBytes + sizeBytes, (bytes, at) => {
    const behind = simpleReply.encodeInto({ error: 0, cookie }, bytes, at);
    bytes.fill(0, behind, behind + sizeBytes);
    data.copy(bytes, behind);
  });
}
