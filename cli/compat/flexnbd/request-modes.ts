/** The modes that send one request. Source: nbd-migration, C.1, C.2; F.9, F.13. */
import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { loadFlexnbd } from '../../../lib/index.ts';
import type { Context } from '../../context.ts';
import { addressOf, bytesOf, portOf } from './arguments.ts';
import type { Mode } from './mode.ts';
import { type FlexnbdSettings, options } from './options.ts';

const common = [options.addr, options.port, options.from, options.size, options.bind];

function target(settings: FlexnbdSettings, sizeBytes: number) {
  return {
    host: addressOf(settings.addr),
    port: portOf(settings.port),
    offset: bytesOf(settings.from),
    sizeBytes,
    ...(settings.bind === undefined ? {} : { bindHost: addressOf(settings.bind) }),
  };
}

export const read: Mode = {
  name: 'read',
  summary: 'Reads a range of a served disk to stdout.',
  options: common,
  required: ['addr', 'port', 'from', 'size'],
  async run(context: Context, settings) {
    const { readRange } = await loadFlexnbd();
    await readRange(target(settings, bytesOf(settings.size)), async (bytes) => {
      if (!context.stdout.write(bytes)) await once(context.stdout, 'drain');
    });
    return 0;
  },
};

export const write: Mode = {
  name: 'write',
  summary: 'Writes a range of a served disk from stdin, or from a file that --size names.',
  options: common,
  required: ['addr', 'port', 'from', 'size'],
  async run(context: Context, settings) {
    const { writeRange } = await loadFlexnbd();
    const { size = '' } = settings;
    const isNumber = /^\d+$/.test(size);
    const sizeBytes = isNumber ? bytesOf(size) : statSync(size).size;
    const source = isNumber ? context.stdin() : createReadStream(size);
    try {
      await writeRange(target(settings, sizeBytes), (bytes) =>
        exactly(source, bytes, isNumber ? 'stdin' : size),
      );
    } finally {
      source.destroy();
    }
    return 0;
  },
};

/** The next bytes of a stream, so many; rejects when it has fewer. */
async function exactly(source: Readable, sizeBytes: number, name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let got = 0; got < sizeBytes; ) {
    const part = source.read(Math.min(sizeBytes - got, Math.max(source.readableLength, 1))) as Buffer | null;
    if (part !== null) {
      parts.push(part);
      got += part.length;
    } else if (source.readableEnded || source.destroyed) {
      throw new Error(`${name} has ended ${sizeBytes - got} bytes too early`);
    } else await Promise.race([once(source, 'readable'), once(source, 'end')]);
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}
