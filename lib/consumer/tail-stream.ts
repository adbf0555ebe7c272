/** The packets of one stream over its growing files: one after the other, as each is finished. */
import { limits } from '../limits.ts';
import { tell } from '../telemetry.ts';
import type { PacketFacts, SourcePacket } from './packet-cursor.ts';
import type { Packets } from './packet-window.ts';
import type { TailFile } from './tail-file.ts';

/** See the file's head. */
export class TailStream implements Packets {
  readonly #files: TailFile[] = [];
  /** Files that are behind the stream, and whose last packets may not have been read. */
  readonly #finished: TailFile[] = [];
  #packets: SourcePacket[] = [];
  #at = 0;
  #last: PacketFacts | undefined;

  get head(): SourcePacket | undefined {
    return this.#packets[this.#at];
  }

  take(): void {
    this.#at += 1;
  }

  /** Only `look` finds more. */
  fill(): Promise<void> {
    return Promise.resolve();
  }

  async passed(): Promise<void> {
    if (this.head !== undefined) return;
    for (const file of this.#finished.splice(0)) await file.close();
  }

  /** Whether somebody writes its last file, or packets are left. */
  get isGrowing(): boolean {
    return this.head !== undefined || this.#files.some(({ writing, found }) => writing || found.length > 0);
  }

  /** Names of its files, those that are finished too. */
  readonly names = new Set<string>();

  get files(): readonly TailFile[] {
    return this.#files;
  }

  /** A file of the stream: behind those whose packets come before its own. */
  add(file: TailFile): void {
    this.names.add(file.name);
    const own = file.found[0]?.facts;
    const at = this.#files.findIndex(({ found, isEmpty, isUntouched }) => {
      const first = found[0]?.facts;
      if (own === undefined || !isUntouched) return false;
      return isEmpty || (first !== undefined && isBefore(own, first));
    });
    this.#files.splice(at < 0 ? this.#files.length : at, 0, file);
  }

  /** Looks for more in its files. Errors: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED. */
  async look(): Promise<void> {
    if (this.head !== undefined) return;
    this.#packets = [];
    this.#at = 0;
    for (;;) {
      const [file, next] = this.#files;
      if (file === undefined) return;
      await file.look();
      const before = this.#last;
      const found = file.found.splice(0);
      const [first] = found;
      // Two files between which one was overwritten before it was seen.
      if (first !== undefined && before !== undefined && this.#isFresh) this.#lose(before, first.facts);
      if (first !== undefined) this.#isFresh = false;
      this.#packets.push(...found);
      this.#last = found.at(-1)?.facts ?? this.#last;
      // Where nobody keeps locks, a file is finished as soon as there is another one.
      if (next === undefined || file.writing || found.length > 0) return;
      this.#files.shift();
      this.#finished.push(file);
      this.#isFresh = true;
    }
  }
  #isFresh = false;

  async close(): Promise<void> {
    for (const file of [...this.#files.splice(0), ...this.#finished.splice(0)]) await file.close();
  }

  /** Packets that are missing between two files. */
  #lose({ packetSeqNum: last }: PacketFacts, facts: PacketFacts): void {
    if (last === undefined || facts.packetSeqNum === undefined || facts.packetSeqNum <= last + 1n) return;
    const missing = facts.packetSeqNum - last - 1n;
    const packets = Math.min(Number(missing), limits.halfPacketsPerStream);
    tell('error', 'consumer:lost', `${missing} packets were overwritten before they were read`, {
      packets: missing,
    });
    const lost = { cause: 'overwritten before it was read', isAnnounced: false };
    for (let i = 0; i < packets; i += 1)
      this.#packets.push({ file: undefined, offsetBytes: 0, sizeBytes: 0, facts, lost });
  }
}

function isBefore(a: PacketFacts, b: PacketFacts): boolean {
  if (a.packetSeqNum !== undefined && b.packetSeqNum !== undefined) return a.packetSeqNum < b.packetSeqNum;
  return a.timestampBeginCycles < b.timestampBeginCycles;
}
