/** The first stage of a control connection, and of a viewer's: bytes in, requests out. */
import type { Duplex } from 'node:stream';
import { framedStage } from '../stage/framed-stage.ts';
import { type Format, Framer, type Header } from '../stage/framer.ts';
import type { Slab } from '../stage/slab.ts';

/** A request, or a part of the body of one that passes in parts; `bytes` live as long as the batch's slab. */
export interface RequestPart<H extends Header> {
  header: H;
  /** `begin`: header and collected body; `part`: more of the body. */
  is: 'begin' | 'part';
  bytes: Buffer;
  start: number;
  end: number;
  last: boolean;
}

export interface RequestBatch<H extends Header> {
  slab: Slab;
  requests: RequestPart<H>[];
}

/**
 * ByteBatch in, RequestBatch out; the slab passes on. `split` is called when a read ends within a request. Errors:
 * those of the framer and of `format`.
 */
export function requestStage<H extends Header>(format: Format<H>, split?: () => void): Duplex {
  let requests: RequestPart<H>[] = [];
  const framer = new Framer(format, {
    begin(header, bytes, start, end) {
      requests.push({
        header,
        is: 'begin',
        bytes,
        start,
        end,
        last: header.bodyBytes === header.collectBytes,
      });
    },
    part(header, bytes, start, end, last) {
      requests.push({ header, is: 'part', bytes, start, end, last });
    },
  });
  const taken = (slab: Slab): RequestBatch<H> => {
    const batch = { slab, requests };
    requests = [];
    return batch;
  };
  return framedStage('requests', framer, taken, () => {
    if (framer.isWithin) split?.();
  });
}
