/** flexnbd's `read` and `write`: one request to an oldstyle server. Source: nbd-migration, C.1, C.2, F.9, F.13. */
import { MillraceError } from '../../errors.ts';
import { Destination } from '../migration/destination.ts';

/** Longest request, bytes: what is longer goes in several. */
const requestBytes = 64 * 1024 * 1024;
const replyMs = 10_000;

export interface RequestOptions {
  host: string;
  port: number;
  bindHost?: string;
  offset: number;
  sizeBytes: number;
}

async function connected<T>(options: RequestOptions, use: (to: Destination) => Promise<T>): Promise<T> {
  const { host, port, bindHost, offset, sizeBytes } = options;
  const to = await Destination.open(
    { host, port },
    { requestMs: replyMs, ...(bindHost === undefined ? {} : { bindHost }) },
  );
  try {
    const size = to.hello.sizeBytes;
    if (offset > size || sizeBytes > size - offset)
      throw new MillraceError('MR_ERR_NBD_RANGE', { offset, length: sizeBytes, size });
    return await use(to);
  } finally {
    to.hangUp();
  }
}

/** Reads a range and hands it to `sink`, piece by piece. Rejects with what went wrong. */
export async function readRange(
  options: RequestOptions,
  sink: (bytes: Buffer) => Promise<void>,
): Promise<void> {
  const { offset, sizeBytes } = options;
  await connected(options, async (to) => {
    for (let done = 0; done < sizeBytes; done += requestBytes)
      await sink(await to.read(offset + done, Math.min(requestBytes, sizeBytes - done)));
  });
}

/** Writes a range; `source` gives exactly the bytes asked for, or rejects. */
export async function writeRange(
  options: RequestOptions,
  source: (sizeBytes: number) => Promise<Buffer>,
): Promise<void> {
  const { offset, sizeBytes } = options;
  await connected(options, async (to) => {
    for (let done = 0; done < sizeBytes; done += requestBytes)
      await to.write(offset + done, await source(Math.min(requestBytes, sizeBytes - done)));
  });
}
