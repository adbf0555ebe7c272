/** Sessions that only pass on their way to another relay: where they lie meanwhile, and what is kept of them. */
import type { IndexRecord } from '../ctf/index-file.ts';
import { limits } from '../limits.ts';
import type { StreamOpen } from '../stage/frames.ts';
import { ownPrefix } from './names.ts';

/** Where sessions lie that only pass; below the output directory. */
export const passingPath: readonly string[] = [ownPrefix, 'passing'];

/** A path as producers are told of it. */
export function shownPath(path: string): string {
  const passing = `${passingPath.join('/')}/`;
  return path.startsWith(passing) ? path.slice(passing.length) : path;
}

/** What is kept of a session that only passes: of a live one the last packets, for viewers. */
const passingRing = { tracefileSizeBytes: 4_194_304n, tracefileCount: 2n } as const;
/** Of any other the index of the last packets. */
const hollowRing = { tracefileSizeBytes: 1_073_741_824n, tracefileCount: 2n } as const;

/** A stream of such a session, as it is stored. `isHollow`: without its packets. */
export function passingStream(open: StreamOpen, isHollow: boolean): StreamOpen {
  return { ...open, ...(isHollow ? hollowRing : passingRing) };
}

/** The last packets of streams that only passed: their files are gone, and whoever sent them may come again and ask how far they were. */
export class PassedStreams {
  readonly #records = new Map<string, IndexRecord>();

  /** `path`: the session's directory; `components`: of the stream's directory in a chunk. The oldest are forgotten first. */
  add(
    path: readonly string[],
    components: readonly string[],
    channelName: string,
    record: IndexRecord,
  ): void {
    const [oldest] = this.#records.keys();
    if (oldest !== undefined && this.#records.size >= limits.passedStreams) this.#records.delete(oldest);
    this.#records.set(passedKey(path, components, channelName), record);
  }

  get(path: readonly string[], components: readonly string[], channelName: string): IndexRecord | undefined {
    return this.#records.get(passedKey(path, components, channelName));
  }
}

function passedKey(path: readonly string[], components: readonly string[], channelName: string): string {
  return [path.join('/'), components.join('/'), channelName].join('\0');
}
