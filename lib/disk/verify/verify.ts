/**
 * Checks stored traces: metadata, packets, indexes, and what a relay that died may have left behind. Files that
 * somebody is writing are checked as far as they are committed.
 */
import { join } from 'node:path';
import { readMetadataClass } from '../../ctf/metadata/index.ts';
import { PacketReader } from '../../ctf/packet-header.ts';
import { type TraceClass, uuidText } from '../../ctf/trace-class.ts';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { openRangeLocks, type RangeLocks } from '../../os/range-locks.ts';
import { CommittedFile, type CooperativeOptions } from '../committed-file.ts';
import { type FoundTrace, findTraces } from './find-traces.ts';
import { FaultList, type TraceReport, type VerifyReport } from './report.ts';
import { checkStreamFile, type StreamFileCheck } from './stream-file.ts';
import { type StreamFile, streamsOf } from './streams.ts';

/** How to check. */
export interface VerifyOptions {
  /** Default: those of the system. `none`: everything in a file counts as committed. */
  locks?: RangeLocks | 'none';
  /** Ends the check with its reason. */
  signal?: AbortSignal;
}

/** Locks as the rest of the room takes them. */
export function locksOf({ locks }: VerifyOptions): RangeLocks | undefined {
  return locks === 'none' ? undefined : (locks ?? openRangeLocks());
}

/**
 * Checks every trace below `directory`, a trace's own directory, a chunk's or a session's. Faults are in the report;
 * errors are what kept it from looking: MR_ERR_DISK_READ of `directory` itself, the signal's reason.
 */
export async function verifyStore(directory: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const { signal } = options;
  const check = new Check(directory, { locks: locksOf(options), ...(signal && { signal }) });
  return check.run();
}

class Check {
  readonly #directory: string;
  readonly #options: CooperativeOptions;
  readonly #faults = new FaultList();
  readonly #files: StreamFile[] = [];

  constructor(directory: string, options: CooperativeOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  async run(): Promise<VerifyReport> {
    const found = await findTraces(this.#directory, (path, error) => this.#unreadable(path, error));
    const traces: TraceReport[] = [];
    for (const trace of found.traces) {
      const report = await this.#unlessGone(trace.path, () => this.#trace(trace));
      if (report !== undefined) traces.push(report);
    }
    for (const path of found.withoutMetadata)
      this.#faults.add('metadata-missing', path, 'packets or indexes without metadata');
    if (traces.length === 0 && this.#faults.faults.length === 0)
      this.#faults.add('no-trace', '', 'no trace is stored here');
    const leftovers: string[] = [];
    for (const path of found.temporaries) if (!(await this.#isWritten(path))) leftovers.push(path);
    for (const path of leftovers)
      this.#faults.add('leftover-file', path, 'a temporary file that never got its name');
    for (const path of found.temporaryChunks) {
      const busy = traces.some((trace) => trace.growing && trace.path.startsWith(`${path}/`));
      if (!busy)
        this.#faults.add('leftover-chunk', path, 'the directory of a rotation that was not finished');
    }
    const streams = streamsOf(this.#files, this.#faults);
    const { faults, omitted } = this.#faults;
    return {
      directory: this.#directory,
      traces,
      streams,
      faults,
      faultsOmitted: omitted,
      leftovers,
      clean: faults.length === 0,
    };
  }

  async #trace(found: FoundTrace): Promise<TraceReport> {
    const { path, streamFiles, indexed } = found;
    const metadata = await this.#metadata(join(path, 'metadata'));
    const { trace } = metadata;
    const report: TraceReport = {
      path,
      format: trace?.format,
      uuid: trace?.uuid && uuidText(trace.uuid),
      growing: metadata.growing,
      files: [],
    };
    for (const name of indexed)
      if (!streamFiles.includes(name))
        this.#faults.add(
          'index-orphan',
          join(path, 'index', `${name}.idx`),
          'its data stream file is not there',
        );
    if (trace === undefined) return report;
    const reader = new PacketReader(trace);
    for (const name of streamFiles) {
      this.#options.signal?.throwIfAborted();
      const check: StreamFileCheck = {
        directory: this.#directory,
        path: join(path, name),
        indexPath: join(path, 'index', `${name}.idx`),
        indexExpected: indexed.length > 0,
        reader,
        faults: this.#faults,
        options: this.#options,
      };
      const checked = await this.#unlessGone(check.path, () => checkStreamFile(check));
      if (checked === undefined) continue;
      report.files.push(checked.report);
      report.growing ||= checked.report.growing;
      if (checked.run !== undefined)
        this.#files.push({
          path: join(path, name),
          trace: path,
          uuid: report.uuid,
          run: checked.run,
          reader,
        });
    }
    return report;
  }

  async #metadata(path: string): Promise<{ trace: TraceClass | undefined; growing: boolean }> {
    const file = await CommittedFile.open(join(this.#directory, path), this.#options);
    if (file === undefined) throw new MillraceError('MR_ERR_DISK_CHANGED', { path });
    try {
      const { endBytes, writing } = await file.extent(0);
      // Producers that are not live send it last.
      if (endBytes === 0 && writing) return { trace: undefined, growing: true };
      if (endBytes > limits.metadataBytes) {
        this.#faults.add(
          'metadata-invalid',
          path,
          `${endBytes} bytes, at most ${limits.metadataBytes} are read`,
        );
        return { trace: undefined, growing: writing };
      }
      return { trace: readMetadataClass(await file.read(0, endBytes)), growing: writing };
    } catch (error) {
      if (!(error instanceof MillraceError) || !error.code.startsWith('MR_ERR_CTF_')) throw error;
      this.#faults.add('metadata-invalid', path, error.message);
      return { trace: undefined, growing: false };
    } finally {
      await file.close();
    }
  }

  #unreadable(path: string, error: MillraceError): void {
    const { cause } = error;
    this.#faults.add('unreadable', path, cause === undefined ? error.message : why(cause));
  }

  /**
   * A relay at work replaces tracefiles and renames chunks: what went away meanwhile was not checked. Nor was what the
   * disk, or the rights of who asks, keep from us: all else is.
   */
  async #unlessGone<T>(path: string, run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === 'MR_ERR_DISK_READ') this.#unreadable(path, error);
      else if (error.code !== 'MR_ERR_DISK_CHANGED') throw error;
      else this.#faults.add('changed', path, 'it was moved or replaced while it was checked');
      return undefined;
    }
  }

  async #isWritten(path: string): Promise<boolean> {
    const file = await CommittedFile.open(join(this.#directory, path), this.#options);
    // Gone, so it has got its name.
    if (file === undefined) return true;
    try {
      return (await file.extent(0)).writing;
    } finally {
      await file.close();
    }
  }
}
