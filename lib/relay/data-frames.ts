/** The first stage of a data connection: bytes in, frames of data out. */
import type { Duplex } from 'node:stream';
import type { FrameBatch } from '../stage/batch.ts';
import { framedStage } from '../stage/framed-stage.ts';
import { Framer, type Header } from '../stage/framer.ts';
import type { Frame } from '../stage/frames.ts';
import { dataHeader } from '../wire/relay/index.ts';

interface DataHeader extends Header {
  streamId: bigint;
  netSeqNum: bigint;
  paddingSizeBytes: number;
  /** Bytes of the packet that went by. */
  passedBytes: number;
}

const headerBytes = dataHeader.minSizeBytes;

/** Source: relay-protocol, "Data port". */
const dataFormat = {
  what: 'data frame',
  headerBytes,
  header(bytes: Buffer, at: number): DataHeader {
    const { streamId, netSeqNum, dataSizeBytes, paddingSizeBytes } = dataHeader.decode(
      bytes,
      at,
      at + headerBytes,
    );
    return {
      streamId,
      netSeqNum,
      paddingSizeBytes,
      bodyBytes: dataSizeBytes,
      collectBytes: 0,
      passedBytes: 0,
    };
  },
};

/**
 * ByteBatch in, FrameBatch of data frames out; the slab passes on. `check` is asked about the stream of each packet when
 * its first byte has come, and throws for one that may not pass. Framing and asking are one stage, because each stage
 * costs as much for a read as parsing it. Errors: MR_ERR_STAGE_TRUNCATED, those of `check`.
 */
export function dataFrameStage(check: (stream: number) => void): Duplex {
  let frames: Frame[] = [];
  const add = (header: DataHeader, start: number, end: number, last: boolean) => {
    const { netSeqNum, paddingSizeBytes, passedBytes } = header;
    const stream = Number(header.streamId);
    if (passedBytes === 0) check(stream);
    frames.push({
      kind: 'data',
      stream,
      netSeqNum,
      offsetBytes: passedBytes,
      dataSizeBytes: header.bodyBytes,
      start,
      end,
      last,
      paddingSizeBytes,
    });
    header.passedBytes += end - start;
  };
  const framer = new Framer<DataHeader>(dataFormat, {
    begin(header, _bytes, start, end) {
      // A frame that announces no bytes is a whole packet all the same.
      if (header.bodyBytes === 0) add(header, start, end, true);
    },
    part: (header, _bytes, start, end, last) => add(header, start, end, last),
  });
  return framedStage('data frames', framer, (slab): FrameBatch => {
    const batch = { slab, frames };
    frames = [];
    return batch;
  });
}
