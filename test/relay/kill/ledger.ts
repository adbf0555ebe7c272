/**
 * What a child that is going to be killed says on its stdout, one fact a line, and what these amount to: the
 * test's own account of what must be on the disk, kept apart from everything that the relay writes.
 */

/** A packet of the script: which stream, which number. Its bytes say the same, so that a reader needs no index. */
export interface SaidPacket {
  stream: string;
  seq: number;
  /** Session and trace chunk in which it belongs. */
  session: string;
  chunk: number;
}

/** Everything that was said up to the kill. */
export class Account {
  readonly begun = new Map<string, SaidPacket>();
  readonly stored = new Set<string>();
  /** Committed bytes of metadata, by `session chunk path`. */
  readonly metadata = new Map<string, number>();
  /** What was asked to become of a chunk, by `session chunk`: said before, and after it was accepted. */
  readonly closing = new Map<string, string>();
  readonly closed = new Map<string, string>();
  changes = 0;

  constructor(stdout: string) {
    // the last line may be torn
    for (const line of stdout.split('\n').slice(0, -1)) this.#take(line.split(' '));
  }

  #take([what = '', session = '', ...rest]: string[]): void {
    const [a = '', b = '', c = ''] = rest;
    if (what === 'begin')
      this.begun.set(`${a} ${b}`, { stream: a, seq: Number(b), session, chunk: Number(c) });
    else if (what === 'stored') this.stored.add(`${a} ${b}`);
    else if (what === 'metadata') this.metadata.set(`${session} ${a} ${b}`, Number(c));
    else if (what === 'closing') this.closing.set(`${session} ${a}`, b);
    else if (what === 'closed') this.closed.set(`${session} ${a}`, b);
    else if (what === 'changes') this.changes = Number(session);
  }
}

/** The bytes of a packet: size, number, then its stream's name and number over and over. */
export function packetBytes(stream: string, seq: number): Buffer {
  const bytes = Buffer.alloc(72 + ((seq * 37 + stream.length) % 90), `${stream} ${seq};`);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(seq, 4);
  return bytes;
}
