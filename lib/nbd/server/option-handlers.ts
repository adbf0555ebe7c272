/** What each option does: one function a row of the table of options. Source: nbd-migration, B.3-B.5, B.9, B.12. */
import type { Value } from '../../schema/index.ts';
import {
  type exportName as exportNameData,
  exportNameReply,
  exportNameReplyPadded,
  type exportRequest,
  infoBlockSize,
  infoDescription,
  infoExport,
  infoName,
  infoTypes,
  metaContextReply,
  type metaContextRequest,
  type OptionName,
  optionRows,
  serverReply,
} from '../../wire/nbd/index.ts';
import { type Export, flagsOf } from '../export.ts';
import type { Agreement } from './agreement.ts';
import { blockSizes } from './faces.ts';
import { answer, type Haggle, type Outcome, protocolError, reply } from './haggle.ts';

/** `data` is the decoded layout of the option's row. */
export type OptionHandler = (haggle: Haggle, data: never) => Outcome | Promise<Outcome>;

const code = (name: OptionName): number => optionRows[name].code;
const allocation = 'base:allocation';
/** The id of `base:allocation` on every connection. */
const allocationId = 1;

/** Every option's handler. */
export const optionHandlers: Readonly<Record<OptionName, OptionHandler>> = {
  exportName(haggle, { name }: Value<typeof exportNameData>) {
    const { offer, peer, socket } = haggle;
    if (haggle.extended) throw protocolError(peer, 'EXPORT_NAME after extended headers were agreed');
    const served = offer.exports.find(name.toString());
    if (served === undefined) throw protocolError(peer, `there is no export "${name.toString()}"`);
    const agreement = agree(haggle, served, name.toString());
    const layout = haggle.noZeroes ? exportNameReply : exportNameReplyPadded;
    socket.write(layout.encode(sizeAndFlags(agreement)));
    return agreement;
  },

  abort(haggle) {
    answer(haggle, code('abort'), 'ack');
    return 'end';
  },

  list(haggle) {
    for (const { name, description = '' } of haggle.offer.exports.offered)
      reply(
        haggle,
        code('list'),
        'server',
        serverReply.encode({ name, description: Buffer.from(description) }),
      );
    return answer(haggle, code('list'), 'ack');
  },

  peekExport: (haggle) => answer(haggle, code('peekExport'), 'errUnsup', 'withdrawn'),

  async startTls(haggle) {
    const { tls } = haggle.offer;
    const option = code('startTls');
    if (tls === undefined) return answer(haggle, option, 'errUnsup', 'this server has no TLS');
    if (haggle.tls) return answer(haggle, option, 'errInvalid', 'inside TLS already');
    answer(haggle, option, 'ack');
    haggle.socket = await tls.upgrade(haggle.socket, haggle.peer);
    haggle.tls = true;
    haggle.structured = haggle.extended = false;
    haggle.selected = undefined;
    return 'next';
  },

  info(haggle, data: Value<typeof exportRequest>) {
    const found = inform(haggle, 'info', data);
    return found === undefined ? 'next' : answer(haggle, code('info'), 'ack');
  },

  go(haggle, data: Value<typeof exportRequest>) {
    const agreement = inform(haggle, 'go', data);
    if (agreement === undefined) return 'next';
    answer(haggle, code('go'), 'ack');
    return agreement;
  },

  structuredReply(haggle) {
    haggle.structured = true;
    return answer(haggle, code('structuredReply'), 'ack');
  },

  listMetaContext(haggle, { exportName, queries }: Value<typeof metaContextRequest>) {
    const option = code('listMetaContext');
    if (haggle.offer.exports.find(exportName) === undefined) return unknown(haggle, option, exportName);
    const wanted =
      queries.length === 0 || queries.some(({ query }) => query === 'base:' || query === allocation);
    if (wanted) metaContext(haggle, option, 0);
    return answer(haggle, option, 'ack');
  },

  setMetaContext(haggle, { exportName, queries }: Value<typeof metaContextRequest>) {
    const option = code('setMetaContext');
    // it replaces what was selected before even if it fails
    haggle.selected = undefined;
    if (!haggle.structured)
      return answer(haggle, option, 'errInvalid', 'structured replies have to be agreed first');
    if (haggle.offer.exports.find(exportName) === undefined) return unknown(haggle, option, exportName);
    const isSelected = queries.some(({ query }) => query === allocation);
    if (isSelected) metaContext(haggle, option, allocationId);
    haggle.selected = { exportName, contexts: isSelected ? [allocationId] : [] };
    return answer(haggle, option, 'ack');
  },

  extendedHeaders(haggle) {
    haggle.extended = haggle.structured = true;
    return answer(haggle, code('extendedHeaders'), 'ack');
  },
};

/** Answers INFO or GO up to the final reply; undefined: that has been an error. */
function inform(
  haggle: Haggle,
  option: 'info' | 'go',
  { name, infos }: Value<typeof exportRequest>,
): Agreement | undefined {
  const served = haggle.offer.exports.find(name);
  if (served === undefined) {
    unknown(haggle, code(option), name);
    return undefined;
  }
  const agreement = agree(haggle, served, name);
  const say = (data: Buffer): void => reply(haggle, code(option), 'info', data);
  const wants = new Set(infos.map(({ type }) => type));
  say(infoExport.encode(sizeAndFlags(agreement)));
  if (wants.has(infoTypes.name)) say(infoName.encode({ name: Buffer.from(served.name) }));
  if (wants.has(infoTypes.description) && served.description !== undefined)
    say(infoDescription.encode({ description: Buffer.from(served.description) }));
  if (wants.has(infoTypes.blockSize)) say(infoBlockSize.encode(blockSizes));
  return agreement;
}

/** A disk that has grown is shown with its new size to who comes now. */
function agree(haggle: Haggle, served: Export, name: string): Agreement {
  const { socket, structured, extended, selected, tls } = haggle;
  served.image.grow();
  const contexts = selected?.exportName === name ? selected.contexts : [];
  const { sizeBytes } = served.image;
  return { socket, served, sizeBytes, face: 'newstyle', structured, extended, contexts, tls };
}

function sizeAndFlags(agreement: Agreement): { sizeBytes: bigint; transmissionFlags: number } {
  const { served, sizeBytes } = agreement;
  return { sizeBytes: BigInt(sizeBytes), transmissionFlags: flagsOf(served, agreement) };
}

function metaContext(haggle: Haggle, option: number, contextId: number): void {
  reply(haggle, option, 'metaContext', metaContextReply.encode({ contextId, name: Buffer.from(allocation) }));
}

/** No such export, or none that may be used now. */
function unknown(haggle: Haggle, option: number, name: string): 'next' {
  if (haggle.offer.exports.isWithheld(name))
    return answer(haggle, option, 'errShutdown', `the export "${name}" is being moved`);
  return answer(haggle, option, 'errUnknown', `there is no export "${name}"`);
}
