/**
 * Walks the packets of a data stream file without an index. Where a packet cannot be read, it goes on at the next
 * one that begins with the magic number and the trace's UUID. Source: ctf, "Sizes".
 */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { PacketHeader, PacketReader } from './packet-header.ts';

/** Reads `lengthBytes` at `positionBytes`; fewer only at the end of the file. Lent until the next call. */
export type ReadBytes = (positionBytes: number, lengthBytes: number) => Promise<Buffer>;

export interface ScannedPacket {
  kind: 'packet';
  offsetBytes: number;
  sizeBytes: number;
  header: PacketHeader;
}

/** Bytes that are no packet. */
export interface Damage {
  kind: 'damage';
  offsetBytes: number;
  sizeBytes: number;
  /** Why: MR_ERR_CTF_*. */
  error: MillraceError;
  /** It is the beginning of a packet whose rest is not in the file. */
  torn: boolean;
}

const smallWindowBytes = 4096;
const largeWindowBytes = 262_144;

/**
 * Every byte of a file of `fileBytes` as packets and damage, in order. Holds one window of the file at a time.
 * Rejects with what `read` rejects with.
 */
export async function* scanPackets(
  read: ReadBytes,
  fileBytes: number,
  reader: PacketReader,
): AsyncGenerator<ScannedPacket | Damage, void> {
  const window = new Window(read, fileBytes);
  let clockCycles = 0n;
  let lastSizeBytes = 0;
  for (let at = 0; at < fileBytes; ) {
    const found = await packetAt(window, at, fileBytes, reader, clockCycles, limits.packetHeaderBytes);
    if (found.kind === 'damage') {
      found.sizeBytes = (await nextPacket(window, at + 1, fileBytes, reader)) - at;
      // Without a magic number nothing tells a torn packet from a wrong size, but that less is left than one takes.
      const isEnd = at + found.sizeBytes === fileBytes;
      const isLikely = reader.magicBytes !== undefined || found.sizeBytes < lastSizeBytes;
      found.torn &&= isEnd && isLikely;
    } else {
      clockCycles = found.header.timestampEndCycles ?? found.header.timestampBeginCycles ?? clockCycles;
      lastSizeBytes = found.sizeBytes;
    }
    yield found;
    at += found.sizeBytes;
  }
}

async function packetAt(
  window: Window,
  offsetBytes: number,
  fileBytes: number,
  reader: PacketReader,
  clockCycles: bigint,
  mostHeaderBytes: number,
): Promise<ScannedPacket | Damage> {
  const damage = (error: MillraceError, torn: boolean): Damage => ({
    kind: 'damage',
    offsetBytes,
    sizeBytes: 0,
    error,
    torn,
  });
  let header: PacketHeader;
  try {
    header = await headerAt(window, offsetBytes, fileBytes, reader, clockCycles, mostHeaderBytes);
  } catch (error) {
    if (!(error instanceof MillraceError) || !error.code.startsWith('MR_ERR_CTF_')) throw error;
    return damage(error, error.code === 'MR_ERR_CTF_SHORT');
  }
  const left = fileBytes - offsetBytes;
  const sizeBits = header.packetSizeBits ?? BigInt(left) * 8n;
  if (sizeBits % 8n !== 0n || sizeBits < BigInt(header.headerBits))
    return damage(new MillraceError('MR_ERR_CTF_PACKET', { why: `its size is ${sizeBits} bits` }), false);
  if (sizeBits > BigInt(left) * 8n) {
    const why = `it has ${sizeBits / 8n} bytes, of which the file holds ${left}`;
    return damage(new MillraceError('MR_ERR_CTF_PACKET', { why }), true);
  }
  const sizeBytes = Number(sizeBits / 8n);
  window.expect(sizeBytes);
  // The window may move on before the caller looks at it.
  const uuid = header.uuid && Buffer.from(header.uuid);
  return { kind: 'packet', offsetBytes, sizeBytes, header: { ...header, uuid } };
}

async function headerAt(
  window: Window,
  at: number,
  fileBytes: number,
  reader: PacketReader,
  clockCycles: bigint,
  mostBytes: number,
): Promise<PacketHeader> {
  for (let bytes = smallWindowBytes; ; bytes *= 4) {
    try {
      return reader.packetAt(await window.at(at, bytes), clockCycles);
    } catch (error) {
      const short = error instanceof MillraceError && error.code === 'MR_ERR_CTF_SHORT';
      if (!short || at + bytes >= fileBytes) throw error;
      if (bytes >= mostBytes)
        throw new MillraceError('MR_ERR_CTF_PACKET', {
          why: `header and context of more than ${bytes} bytes`,
        });
    }
  }
}

/** Where the next packet begins that can be told by its magic number; the end of the file where none does. */
async function nextPacket(
  window: Window,
  from: number,
  fileBytes: number,
  reader: PacketReader,
): Promise<number> {
  const magic = reader.magicBytes;
  if (magic === undefined) return fileBytes;
  const { uuid } = reader.trace;
  for (let at = from; at < fileBytes; ) {
    const bytes = await window.at(at, largeWindowBytes);
    const found = bytes.indexOf(magic);
    if (found < 0) {
      at += Math.max(bytes.length - magic.length + 1, 1);
      continue;
    }
    at += found;
    // Not the most that a header may have: a file full of magic numbers would be read again and again.
    const packet = await packetAt(window, at, fileBytes, reader, 0n, smallWindowBytes);
    const same =
      packet.kind === 'packet' && (uuid === undefined || packet.header.uuid?.equals(uuid) !== false);
    if (same) return at;
    at += 1;
  }
  return fileBytes;
}

/** A piece of the file that is in memory, as large as the packets make sensible. */
class Window {
  readonly #read: ReadBytes;
  readonly #fileBytes: number;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #aheadBytes = largeWindowBytes;

  constructor(read: ReadBytes, fileBytes: number) {
    this.#read = read;
    this.#fileBytes = fileBytes;
  }

  /** Small packets lie together in one read; of large ones only the beginning is read. */
  expect(packetBytes: number): void {
    this.#aheadBytes = packetBytes > largeWindowBytes / 4 ? smallWindowBytes : largeWindowBytes;
  }

  /** At least `lengthBytes` at `position`, or all up to the end of the file. */
  async at(position: number, lengthBytes: number): Promise<Buffer> {
    const end = Math.min(position + lengthBytes, this.#fileBytes);
    if (position < this.#start || end > this.#start + this.#bytes.length) {
      const wanted = Math.min(Math.max(lengthBytes, this.#aheadBytes), this.#fileBytes - position);
      this.#bytes = await this.#read(position, wanted);
      this.#start = position;
    }
    return this.#bytes.subarray(position - this.#start, end - this.#start);
  }
}
