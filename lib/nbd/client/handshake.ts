/**
 * Handshake, client's side: what the server is, then what both can do. Oldstyle servers say everything at once; with
 * newstyle ones the best that they know is agreed on, and older ones are met half-way. Source: nbd-migration, A.1, A.7,
 * B.2-B.5, B.12.
 */
import type { Socket } from 'node:net';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { readExactly } from '../../network/read-exactly.ts';
import { narrow } from '../../schema/index.ts';
import {
  clientGreeting,
  exportNameReply,
  exportNameReplyPadded,
  exportRequest,
  greetingHead,
  handshakeFlags,
  infoBlockSize,
  infoExport,
  infoHead,
  infoTypes,
  isOptionError,
  metaContextReply,
  metaContextRequest,
  type OptionName,
  oldstyleHello,
  oldstyleMagic,
  optionHeader,
  optionMagic,
  optionReplies,
  optionReplyHeader,
  optionRows,
  serverReply,
} from '../../wire/nbd/index.ts';
import type { ReplyStyle } from '../export.ts';

/** What a client wants. */
export interface HandshakeOptions {
  exportName: string;
  /** Wraps the socket when the server has agreed to TLS; undefined: no TLS. */
  upgrade?: ((socket: Socket) => Promise<Socket>) | undefined;
  /** Ask for nothing beyond the first newstyle protocol. */
  plain?: boolean;
}

/** What was agreed. */
export interface Agreed extends ReplyStyle {
  socket: Socket;
  style: 'newstyle' | 'oldstyle';
  sizeBytes: number;
  transmissionFlags: number;
  minimumBytes: number;
  preferredBytes: number;
  maximumPayloadBytes: number;
  /** Id of `base:allocation`; undefined: not to be had. */
  allocationId: number | undefined;
}

/** One export of a server's list. */
export interface ListedExport {
  name: string;
  description: string;
}

interface OptionReply {
  type: number;
  data: Buffer;
}

const defaults = { minimumBytes: 1, preferredBytes: 4096, maximumPayloadBytes: limits.nbdPayloadBytes };
const allocation = 'base:allocation';

/** See the file's head. */
export class Handshake {
  readonly #peer: string;
  #socket: Socket;
  #noZeroes = false;
  #isFixed = false;

  /** `socket`: connected, paused and unread. Its owner sets the deadline by destroying it. */
  constructor(socket: Socket, peer: string) {
    this.#socket = socket;
    this.#peer = peer;
  }

  /**
   * Goes as far as transmission. Rejects with MR_ERR_NBD_REFUSED (no such export, no TLS), MR_ERR_NBD_PROTOCOL,
   * MR_ERR_NBD_TLS, MR_ERR_NETWORK_LOST.
   */
  async agree({ exportName, upgrade, plain = false }: HandshakeOptions): Promise<Agreed> {
    const style = await this.#greeting();
    if (style === 'oldstyle') {
      if (upgrade !== undefined) this.#refused('TLS', 'it speaks oldstyle');
      if (exportName !== '')
        this.#refused(`export "${exportName}"`, 'it speaks oldstyle, which has one export');
      return await this.#hello();
    }
    await this.#greet();
    if (upgrade !== undefined) await this.#startTls(upgrade);
    const replies = plain || !this.#isFixed ? { structured: false, extended: false } : await this.#replies();
    const allocationId = replies.structured ? await this.#selectAllocation(exportName) : undefined;
    const found = this.#isFixed ? await this.#go(exportName) : undefined;
    const agreed = found ?? { ...(await this.#exportName(exportName)), ...defaults };
    return { ...agreed, ...replies, socket: this.#socket, style, allocationId };
  }

  /** The exports of a newstyle server; it is told goodbye then. Rejects as `agree`. */
  async list({ upgrade }: Pick<HandshakeOptions, 'upgrade'> = {}): Promise<ListedExport[]> {
    if ((await this.#greeting()) === 'oldstyle') return [{ name: '', description: '' }];
    await this.#greet();
    if (upgrade !== undefined) await this.#startTls(upgrade);
    const replies = await this.#ask('list', Buffer.alloc(0));
    this.#mustBeAck('a list of its exports', replies);
    const listed = replies
      .filter(({ type }) => type === optionReplies.server)
      .map(({ data }) => serverReply.decode(data));
    this.#send('abort', Buffer.alloc(0));
    return listed.map(({ name, description }) => ({ name, description: description.toString() }));
  }

  async #read(sizeBytes: number): Promise<Buffer> {
    return sizeBytes === 0 ? Buffer.alloc(0) : await readExactly(this.#socket, sizeBytes, this.#peer);
  }

  async #greeting(): Promise<'newstyle' | 'oldstyle'> {
    let style: bigint;
    try {
      style = greetingHead.decode(await this.#read(greetingHead.minSizeBytes)).style;
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'MR_ERR_WIRE_VALUE')
        this.#broken('it is no NBD server');
      throw error;
    }
    if (style === oldstyleMagic) return 'oldstyle';
    return style === optionMagic ? 'newstyle' : this.#broken('a greeting of no known style');
  }

  async #hello(): Promise<Agreed> {
    const headBytes = greetingHead.minSizeBytes;
    const rest = await this.#read(oldstyleHello.minSizeBytes - headBytes);
    const head = greetingHead.encode({ style: oldstyleMagic });
    const { sizeBytes, transmissionFlags } = oldstyleHello.decode(Buffer.concat([head, rest]));
    return {
      ...defaults,
      // flexnbd takes everything in one request; nobody needs more
      socket: this.#socket,
      style: 'oldstyle',
      sizeBytes: narrow(sizeBytes, 'size of the export'),
      transmissionFlags,
      structured: false,
      extended: false,
      allocationId: undefined,
    };
  }

  async #greet(): Promise<void> {
    const flags = (await this.#read(2)).readUInt16BE(0);
    this.#isFixed = (flags & handshakeFlags.fixedNewstyle) !== 0;
    this.#noZeroes = (flags & handshakeFlags.noZeroes) !== 0;
    const { fixedNewstyle, noZeroes } = handshakeFlags;
    this.#socket.write(clientGreeting.encode({ clientFlags: flags & (fixedNewstyle | noZeroes) }));
  }

  async #startTls(upgrade: (socket: Socket) => Promise<Socket>): Promise<void> {
    this.#mustBeAck('TLS', await this.#ask('startTls', Buffer.alloc(0)));
    if (this.#socket.readableLength > 0) this.#broken('clear text behind STARTTLS');
    this.#socket = await upgrade(this.#socket);
  }

  async #replies(): Promise<ReplyStyle> {
    const agrees = async (option: OptionName): Promise<boolean> => {
      const replies = await this.#ask(option, Buffer.alloc(0));
      return replies.at(-1)?.type === optionReplies.ack;
    };
    const extended = await agrees('extendedHeaders');
    return { extended, structured: extended || (await agrees('structuredReply')) };
  }

  async #selectAllocation(exportName: string): Promise<number | undefined> {
    const request = metaContextRequest.encode({ exportName, queries: [{ query: allocation }] });
    const replies = await this.#ask('setMetaContext', request);
    const selected = replies
      .filter(({ type }) => type === optionReplies.metaContext)
      .map(({ data }) => metaContextReply.decode(data));
    return selected.find(({ name }) => name.toString() === allocation)?.contextId;
  }

  /** undefined: this server does not know GO. */
  async #go(
    name: string,
  ): Promise<Omit<Agreed, 'socket' | 'style' | 'allocationId' | keyof ReplyStyle> | undefined> {
    const request = exportRequest.encode({ name, infos: [{ type: infoTypes.blockSize }] });
    const replies = await this.#ask('go', request);
    if (replies.at(-1)?.type === optionReplies.errUnsup) return undefined;
    this.#mustBeAck(`export "${name}"`, replies);
    let found: { sizeBytes: bigint; transmissionFlags: number } | undefined;
    let sizes: Omit<typeof defaults, never> = defaults;
    for (const { type, data } of replies) {
      if (type !== optionReplies.info) continue;
      const info = infoHead.decode(data).type;
      if (info === infoTypes.export) found = infoExport.decode(data);
      if (info === infoTypes.blockSize) sizes = infoBlockSize.decode(data) as typeof defaults;
    }
    if (found === undefined) return this.#broken('an export without its size');
    return {
      ...sizes,
      sizeBytes: narrow(found.sizeBytes, 'size of the export'),
      transmissionFlags: found.transmissionFlags,
    };
  }

  async #exportName(name: string): Promise<{ sizeBytes: number; transmissionFlags: number }> {
    this.#send('exportName', Buffer.from(name));
    const layout = this.#noZeroes ? exportNameReply : exportNameReplyPadded;
    const { sizeBytes, transmissionFlags } = layout.decode(await this.#read(layout.minSizeBytes));
    return { sizeBytes: narrow(sizeBytes, 'size of the export'), transmissionFlags };
  }

  #send(option: OptionName, data: Buffer): void {
    const header = optionHeader.encode({ option: optionRows[option].code, dataSizeBytes: data.length });
    this.#socket.write(Buffer.concat([header, data]));
  }

  /** All replies to an option; the last one is the final one. */
  async #ask(option: OptionName, data: Buffer): Promise<OptionReply[]> {
    this.#send(option, data);
    const replies: OptionReply[] = [];
    for (;;) {
      const header = optionReplyHeader.decode(await this.#read(optionReplyHeader.minSizeBytes));
      if (header.option !== optionRows[option].code) this.#broken(`a reply to option ${header.option}`);
      if (header.dataSizeBytes > limits.nbdOptionBytes)
        this.#broken(`a reply of ${header.dataSizeBytes} bytes`);
      replies.push({ type: header.type, data: await this.#read(header.dataSizeBytes) });
      if (header.type === optionReplies.ack || isOptionError(header.type)) return replies;
      if (replies.length > limits.nbdReplies) this.#broken('replies without an end');
    }
  }

  #mustBeAck(what: string, replies: readonly OptionReply[]): void {
    const last = replies.at(-1);
    if (last === undefined || last.type === optionReplies.ack) return;
    const name = Object.entries(optionReplies).find(([, type]) => type === last.type)?.[0];
    const words = last.data.toString();
    this.#refused(what, words === '' ? (name ?? `reply ${last.type}`) : words);
  }

  #refused(what: string, why: string): never {
    throw new MillraceError('MR_ERR_NBD_REFUSED', { peer: this.#peer, what, why });
  }

  #broken(why: string): never {
    throw new MillraceError('MR_ERR_NBD_PROTOCOL', { peer: this.#peer, why });
  }
}
