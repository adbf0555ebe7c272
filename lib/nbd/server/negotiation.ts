/**
 * Newstyle negotiation, server's side: the greeting, then one option after the other until the client has chosen an
 * export or given up. The order of the protocol can be read in `negotiate`; what each option does is in
 * `option-handlers.ts`. Source: nbd-migration, B.1-B.5.
 */
import type { Socket } from 'node:net';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { readExactly } from '../../network/read-exactly.ts';
import {
  clientGreeting,
  handshakeFlags,
  newstyleGreeting,
  oldstyleHello,
  optionHeader,
  optionNames,
  optionRows,
} from '../../wire/nbd/index.ts';
import { type Export, oldstyleFlagsOf } from '../export.ts';
import type { Agreement } from './agreement.ts';
import type { Extension } from './extension.ts';
import { answer, type Haggle, type Offer, type Outcome, protocolError } from './haggle.ts';
import { optionHandlers } from './option-handlers.ts';

/**
 * Negotiates with a client that has just connected (`socket`: paused, unread). Resolves to what was agreed, or to
 * undefined when the client has ended it in good manner. Rejects with MR_ERR_NETWORK_LOST, MR_ERR_NBD_PROTOCOL,
 * MR_ERR_NBD_TLS: the connection is to be closed. There is no deadline here: who set one destroys the socket.
 */
export async function negotiate(socket: Socket, offer: Offer, peer: string): Promise<Agreement | undefined> {
  const { fixedNewstyle, noZeroes } = handshakeFlags;
  socket.write(newstyleGreeting.encode({ handshakeFlags: fixedNewstyle | noZeroes }));
  const greeting = await readExactly(socket, clientGreeting.minSizeBytes, peer);
  const { clientFlags } = clientGreeting.decode(greeting);
  if ((clientFlags & ~(fixedNewstyle | noZeroes)) !== 0)
    throw protocolError(peer, `client flags 0x${clientFlags.toString(16)} that were not offered`);
  const haggle: Haggle = {
    offer,
    peer,
    socket,
    tls: false,
    noZeroes: (clientFlags & noZeroes) !== 0,
    structured: false,
    extended: false,
    selected: undefined,
  };
  const isFixed = (clientFlags & fixedNewstyle) !== 0;
  for (let options = 0; options < limits.nbdOptions; options += 1) {
    const outcome = await takeOption(haggle, isFixed);
    if (outcome === 'end') return undefined;
    if (outcome !== 'next') return outcome;
  }
  throw protocolError(peer, `more than ${limits.nbdOptions} options`);
}

async function takeOption(haggle: Haggle, isFixed: boolean): Promise<Outcome> {
  const { offer, peer } = haggle;
  const header = await readExactly(haggle.socket, optionHeader.minSizeBytes, peer);
  const { option, dataSizeBytes } = optionHeader.decode(header);
  const name = optionNames.get(option);
  if (!isFixed && name !== 'exportName')
    throw protocolError(peer, `option ${option} of a client that does not know replies`);
  if (dataSizeBytes > limits.nbdAbsurdOptionBytes)
    throw protocolError(peer, `option ${name ?? option} of ${dataSizeBytes} bytes`);
  const isTooBig = dataSizeBytes > limits.nbdOptionBytes;
  const data = isTooBig ? undefined : await readData(haggle, dataSizeBytes);
  if (data === undefined) await skip(haggle, dataSizeBytes);

  const row = name === undefined ? undefined : optionRows[name];
  if (offer.tls?.required === true && !haggle.tls && row?.beforeTls !== true) {
    if (name === 'exportName') throw protocolError(peer, 'an export without TLS');
    return answer(haggle, option, 'errTlsReqd', 'this server wants TLS first');
  }
  if (name === undefined || row === undefined)
    return answer(haggle, option, 'errUnsup', `option ${option} is not known`);
  if (offer.isStopping() && name !== 'abort') {
    if (name === 'exportName') throw protocolError(peer, 'an export of a server that is going down');
    return answer(haggle, option, 'errShutdown', 'the server is going down');
  }
  if (data === undefined) {
    if (name === 'exportName') throw protocolError(peer, `a name of ${dataSizeBytes} bytes`);
    return answer(haggle, option, 'errTooBig', `more than ${limits.nbdOptionBytes} bytes`);
  }
  // the row and the handler have the same layout: the table's types cannot say so
  const handle = optionHandlers[name] as (haggle: Haggle, value: object) => Outcome | Promise<Outcome>;
  let value: object = {};
  try {
    value = row.data?.decode(data) ?? {};
  } catch (error) {
    if (!(error instanceof MillraceError) || name === 'exportName') throw error;
    return answer(haggle, option, 'errInvalid', error.message);
  }
  return await handle(haggle, value);
}

async function readData({ socket, peer }: Haggle, sizeBytes: number): Promise<Buffer> {
  return sizeBytes === 0 ? Buffer.alloc(0) : await readExactly(socket, sizeBytes, peer);
}

async function skip(haggle: Haggle, sizeBytes: number): Promise<void> {
  for (let left = sizeBytes; left > 0; ) {
    const { length } = await readData(haggle, Math.min(left, 16_384));
    left -= length;
  }
}

/**
 * Oldstyle: the server says all, the default export is served, nothing is agreed on. `tls`: `socket` is encrypted. Source:
 * nbd-migration, A.1.
 */
export function sayHello(socket: Socket, served: Export, tls: boolean, extension?: Extension): Agreement {
  const { sizeBytes } = served.image;
  const more = extension?.hello();
  const hello = oldstyleHello.encode({
    sizeBytes: BigInt(sizeBytes),
    handshakeFlags: 0,
    transmissionFlags: oldstyleFlagsOf(served) | (more?.flags ?? 0),
  });
  more?.reserved.copy(hello, oldstyleHello.offsetOf('reserved'));
  socket.write(hello);
  const replies = { structured: false, extended: false };
  return {
    ...replies,
    socket,
    served,
    sizeBytes,
    face: extension === undefined ? 'oldstyle' : 'migration',
    contexts: [],
    tls,
  };
}
