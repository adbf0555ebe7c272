/** What a check of stored traces found, as data. Paths are relative to the directory that was checked. */

/** Stable names of faults. */
export const faultCodes = [
  'no-trace',
  'unreadable',
  'metadata-missing',
  'metadata-invalid',
  'packet-unreadable',
  'stream-class',
  'trace-uuid',
  'content-size',
  'torn-tail',
  'timestamp-order',
  'sequence-order',
  'index-missing',
  'index-unreadable',
  'index-torn',
  'index-short',
  'index-surplus',
  'index-order',
  'index-mismatch',
  'index-lost',
  'index-orphan',
  'leftover-file',
  'leftover-chunk',
  'changed',
] as const;

export type FaultCode = (typeof faultCodes)[number];

export interface Fault {
  code: FaultCode;
  path: string;
  /** Where in the file, where it has a place. */
  offsetBytes: number | undefined;
  /** One sentence without a final stop. */
  text: string;
}

/** One data stream file and its index file. */
export interface FileReport {
  path: string;
  /** As far as it is committed. */
  sizeBytes: number;
  /** Somebody is writing it: its end is not judged, and it is not repaired. */
  growing: boolean;
  packets: number;
  /** End of the last whole packet, where what follows is a torn tail; else the size. */
  wholeBytes: number;
  /** Bytes that are no packet, the torn tail apart. */
  damagedBytes: number;
  /** `none`: neither there nor expected. */
  index: 'matching' | 'faulty' | 'missing' | 'none';
  indexPath: string;
  /** Records of packets that will never come. */
  recordsLost: number;
}

/** Files of one data stream of a trace, in the order of their timestamps. */
export interface StreamReport {
  streamClassId: bigint;
  streamInstanceId: bigint | undefined;
  /** Data stream files, over all chunks and snapshots of the trace. */
  paths: string[];
  packets: number;
  /** Events that the tracer discarded since the first packet. */
  eventsDiscarded: bigint;
  /** Its counter at the first packet: discarded before. */
  eventsDiscardedBefore: bigint;
  /** Packets missing in the numbers that the tracer gave. */
  packetsLost: bigint;
  beginCycles: bigint | undefined;
  endCycles: bigint | undefined;
}

/** One directory with metadata. */
export interface TraceReport {
  path: string;
  /** Undefined: the metadata cannot be read. */
  format: 'ctf-1.8' | 'ctf-2' | undefined;
  uuid: string | undefined;
  /** Somebody is writing its metadata or a file of it. */
  growing: boolean;
  files: FileReport[];
}

export interface VerifyReport {
  directory: string;
  traces: TraceReport[];
  streams: StreamReport[];
  /** The first ones, at most `faultsPerFile` of each file. */
  faults: Fault[];
  /** How many more there are. */
  faultsOmitted: number;
  /** Temporary files that were never given their names. */
  leftovers: string[];
  /** No fault. */
  clean: boolean;
}

const faultsPerFile = 16;

/** Gathers faults; memory is bounded however broken a file is. */
export class FaultList {
  readonly faults: Fault[] = [];
  omitted = 0;
  readonly #perFile = new Map<string, number>();

  add(code: FaultCode, path: string, text: string, offsetBytes?: number): void {
    const count = this.#perFile.get(path) ?? 0;
    this.#perFile.set(path, count + 1);
    if (count >= faultsPerFile) this.omitted += 1;
    else this.faults.push({ code, path, offsetBytes, text });
  }
}
