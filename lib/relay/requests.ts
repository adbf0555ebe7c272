/** The first stage of a control connection: bytes in, requests out. */
import type { Duplex } from 'node:stream';
import type { ByteBatch } from '../stage/batch.ts';
import { Framer } from '../stage/framer.ts';
import type { Slab } from '../stage/slab.ts';
import { objectStage } from '../stage/stage.ts';
import { controlFormat, type RequestHeader } from './control-format.ts';

/** A request, or a part of the body of one that passes in parts; `bytes` live as long as the batch's slab. */
export interface RequestPart {
  header: RequestHeader;
  /** `begin`: header and collected body; `part`: more of the body. */
  is: 'begin' | 'part';
  bytes: Buffer;
  start: number;
  end: number;
  last: boolean;
}

export interface RequestBatch {
  slab: Slab;
  requests: RequestPart[];
}

/** ByteBatch in, RequestBatch out; the slab passes on. Errors: those of the framer and of `controlFormat`. */
export function requestStage(): Duplex {
  let requests: RequestPart[] = [];
  const framer = new Framer(controlFormat, {
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
  return objectStage<ByteBatch, RequestBatch>('requests', {
    transform({ slab, start, end }, push) {
      let failed: unknown;
      try {
        framer.feed(slab.bytes, start, end);
      } catch (error) {
        failed = error;
      }
      // What came before the bytes that are wrong is still good.
      const batch = { slab, requests };
      requests = [];
      push(batch);
      if (failed !== undefined) throw failed;
    },
    flush: () => framer.end(),
  });
}
